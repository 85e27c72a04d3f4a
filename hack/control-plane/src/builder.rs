//! Builds binaries of the pinned Go module into the cache.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::assets::Binary;
use crate::binaries::tethered;
use crate::error::{Error, tail};
use crate::module::{Module, uses_c};
use crate::progress::Progress;

/// How often a running build is looked at, which is also the precision of the reported time.
const POLL: Duration = Duration::from_millis(200);

/// How often progress is reported.
const REPORT: Duration = Duration::from_secs(1);

/// Builds into one folder of the cache.
#[derive(Debug)]
pub(crate) struct Builder {
    module: Module,
    directory: PathBuf,
}

impl Builder {
    /// The builder of a module's binaries in the cache in `root`.
    pub(crate) fn new(root: &Path, module: Module) -> Self {
        Self {
            module,
            directory: root.join(module.key()),
        }
    }

    /// The folder that the binaries are in.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Builds those of `wanted` that the cache lacks. Of two concurrent calls, also in different
    /// processes, one builds and the other waits.
    pub(crate) fn build_missing(
        &self,
        wanted: &[Binary],
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(), Error> {
        if self.missing(wanted).is_empty() {
            return Ok(());
        }
        let module = self.directory.join("module");
        fs::create_dir_all(&module).map_err(Error::io(format!("create {}", module.display())))?;
        let _lock = self.lock(progress)?;
        // What was missing before the lock was free may be there now.
        let missing = self.missing(wanted);
        let Some(first) = missing.first() else {
            return Ok(());
        };
        for (name, text) in self.module.files() {
            let path = module.join(name);
            let folder = path.parent().unwrap_or(&module);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, text))
                .map_err(Error::io(format!("write {}", path.display())))?;
        }
        check_go(&module, *first)?;
        for (index, binary) in missing.iter().enumerate() {
            self.build(&module, *binary, (index + 1, missing.len()), progress)?;
        }
        Ok(())
    }

    fn missing(&self, wanted: &[Binary]) -> Vec<Binary> {
        let absent = |binary: &Binary| !self.directory.join(binary.name()).is_file();
        wanted.iter().copied().filter(absent).collect()
    }

    /// Locks the folder; the lock ends with the file's handle, so also with the process.
    fn lock(&self, progress: &mut dyn FnMut(&Progress)) -> Result<File, Error> {
        let path = self.directory.join("lock");
        let file = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                progress(&Progress::Waiting { lock: path.clone() });
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.map_err(Error::io(format!("lock {}", path.display())))?;
        Ok(file)
    }

    fn build(
        &self,
        module: &Path,
        binary: Binary,
        (number, total): (usize, usize),
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(), Error> {
        let log = self.directory.join(format!("{binary}.build.log"));
        let output = File::create(&log).map_err(Error::io(format!("create {}", log.display())))?;
        // The name is this process's own, so that a build that lost its lock by a kill cannot
        // write into the file of the next one.
        let partial = self.directory.join(format!(".{binary}.{}", process::id()));
        let mut child = go_in(tethered("go")?, module)
            .env("CGO_ENABLED", if uses_c(binary) { "1" } else { "0" })
            .arg("build")
            .args(self.module.build_flags(binary))
            .arg("-o")
            .args([partial.as_os_str(), binary.package().as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(Error::io("start `go build`"))?;

        let begin = Instant::now();
        let mut next_report = Duration::ZERO;
        let status = loop {
            let elapsed = begin.elapsed();
            if elapsed >= next_report {
                progress(&Progress::Building {
                    binary,
                    number,
                    total,
                    elapsed,
                });
                next_report += REPORT;
            }
            match child.try_wait().map_err(Error::io("wait for `go build`"))? {
                Some(status) => break status,
                None => thread::sleep(POLL),
            }
        };
        if !status.success() {
            // There may be nothing to remove.
            let _ = fs::remove_file(&partial);
            let output = tail(&log);
            return Err(Error::Build {
                binary,
                log,
                output,
            });
        }
        let path = self.directory.join(binary.name());
        fs::rename(&partial, &path).map_err(Error::io(format!("rename {}", partial.display())))?;
        progress(&Progress::Built {
            binary,
            number,
            total,
            elapsed: begin.elapsed(),
        });
        Ok(())
    }
}

/// A Go command in the module, without what a developer's environment may add to it.
fn go_in(mut command: Command, module: &Path) -> Command {
    command
        .current_dir(module)
        .env("GOWORK", "off")
        .env_remove("GOFLAGS");
    command
}

/// Says in one line that Go is missing or too old, before `go build` says it in many.
fn check_go(module: &Path, binary: Binary) -> Result<(), Error> {
    let needed = binary.module().needed_go();
    let no_go = |found: String| Error::NoGo {
        binary,
        needed: needed.to_owned(),
        found,
    };
    let output = match go_in(Command::new("go"), module)
        .args(["env", "GOVERSION"])
        .output()
    {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(no_go("there is no `go` in PATH".to_owned()));
        }
        Err(source) => return Err(Error::io("run `go env`")(source)),
    };
    // Go 1.21 and newer fetch the toolchain that go.mod asks for, or fail here if they may not.
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(no_go(format!("`go env` says: {}", reason.trim())));
    }
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if is_older(&version, needed) {
        return Err(no_go(format!("the one in PATH is {version}")));
    }
    Ok(())
}

/// Compares `go1.25.3` with `1.26.0` by major and minor version. What is not of that form, a
/// development version for one, is not held to be old.
fn is_older(version: &str, needed: &str) -> bool {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    match (
        version.strip_prefix("go").and_then(numbers),
        numbers(needed),
    ) {
        (Some(version), Some(needed)) => version < needed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_go_is_told_from_a_newer_one() {
        for (version, older) in [
            ("go1.19.8", true),
            ("go1.25.9", true),
            ("go1.26.0", false),
            ("go1.26rc1", false),
            ("go1.27.1", false),
            ("go2.0.0", false),
            ("devel go1.27-abcdef", false),
        ] {
            assert_eq!(is_older(version, "1.26.0"), older, "{version}");
        }
    }
}
