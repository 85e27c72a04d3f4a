//! Where the binaries of this workspace are.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use crate::error::Error;

/// The binary of this crate, which does what only a separate process can.
const SELF: &str = "control-plane";

/// Finds a binary of this workspace for a test or a tool of this workspace.
///
/// The variable [`variable_of`] names comes first, then the folder of the profile that the running
/// program was built with (`target/debug` for a test in `target/debug/deps`). There is no search in
/// other profiles: a test would run a binary older than its source without saying so.
///
/// # Errors
///
/// [`Error::NoWorkspaceBinary`] when the file does not exist, with the command that builds it.
pub fn workspace_binary(name: &str) -> Result<PathBuf, Error> {
    let variable = variable_of(name);
    let path = match env::var_os(&variable).filter(|value| !value.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => profile_directory(&current_program()?).join(name),
    };
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::NoWorkspaceBinary { path, variable })
    }
}

/// The environment variable that overrides the path of a workspace binary: its name in capitals,
/// with `AEP_` in front if that is not there and `_BIN` behind. `aep-simulator` has
/// `AEP_SIMULATOR_BIN`, `control-plane` has `AEP_CONTROL_PLANE_BIN`.
#[must_use]
pub fn variable_of(name: &str) -> String {
    let name = name.to_uppercase().replace('-', "_");
    let prefix = if name.starts_with("AEP_") { "" } else { "AEP_" };
    format!("{prefix}{name}_BIN")
}

/// A command for a program that the kernel kills when the calling *thread* ends, however it ends
/// (on Linux; elsewhere a plain command). Call it from a thread that waits for the program.
///
/// # Errors
///
/// [`Error::NoWorkspaceBinary`] when the `control-plane` binary has not been built.
pub fn tethered(program: impl AsRef<OsStr>) -> Result<Command, Error> {
    let mut command = Command::new(control_plane()?);
    command
        .arg("exec")
        .arg("--die-with-parent")
        .arg(process::id().to_string());
    command.arg("--").arg(program);
    Ok(command)
}

/// The `control-plane` binary: this program if it is the one.
pub(crate) fn control_plane() -> Result<PathBuf, Error> {
    let current = current_program()?;
    if current.file_name() == Some(OsStr::new(SELF)) {
        return Ok(current);
    }
    workspace_binary(SELF)
}

fn current_program() -> Result<PathBuf, Error> {
    env::current_exe().map_err(Error::io("find the running program's path"))
}

/// Cargo puts binaries into the profile's folder, and tests and examples one level below it.
fn profile_directory(program: &Path) -> PathBuf {
    let directory = program.parent().unwrap_or(Path::new("/"));
    let below = ["deps", "examples"]
        .iter()
        .any(|name| directory.ends_with(name));
    directory
        .parent()
        .filter(|_| below)
        .unwrap_or(directory)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_binary_starts_with_aep_once() {
        assert_eq!(
            variable_of("aep-export-operator"),
            "AEP_EXPORT_OPERATOR_BIN"
        );
        assert_eq!(variable_of("aep-simulator"), "AEP_SIMULATOR_BIN");
        assert_eq!(variable_of("control-plane"), "AEP_CONTROL_PLANE_BIN");
    }

    #[test]
    fn binaries_are_in_the_profile_folder_of_tests_examples_and_binaries() {
        for program in [
            "target/debug/deps/t-1",
            "target/debug/examples/e",
            "target/debug/b",
        ] {
            assert_eq!(
                profile_directory(Path::new(program)),
                Path::new("target/debug")
            );
        }
    }

    #[test]
    fn a_missing_binary_is_named_with_the_remedy() {
        let message = workspace_binary("aep-nothing").unwrap_err().to_string();
        assert!(message.contains("aep-nothing does not exist"), "{message}");
        assert!(message.contains("cargo build"), "{message}");
        assert!(message.contains("AEP_NOTHING_BIN"), "{message}");
    }
}
