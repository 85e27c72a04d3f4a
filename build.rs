//! Has relative relocations packed in the binaries, where the C library reads them so: half a
//! megabyte less to read, and to keep, for each process.

use std::{env, process::Command};

/// The first glibc that reads packed ones (`DT_RELR`).
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // What another machine has is not known here. GNU ld packs them for this architecture, and lld.
    let is_native = env::var("HOST") == env::var("TARGET");
    let is_known = env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64");
    if is_native && is_known && glibc().is_some_and(|version| version >= SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc; none if it has another C library.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let said = String::from_utf8(said.ok()?.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
