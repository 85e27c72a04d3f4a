//! The operator: parses, runs, and turns an error into an exit code.

use std::process::ExitCode;

use aep_export_operator::{
    cli::{Cli, parse, wrong_usage},
    run::{self, RunError},
};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (RunError::Flag(_) | RunError::Filter(_))) => wrong_usage(&error).exit(),
        Err(error) => {
            eprintln!("aep-export-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), RunError> {
    // One thread: all that takes time is waited for, and each further thread would have its own
    // part of the heap, so that the memory that a process takes would depend on the machine.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(run::run(cli));
    // Not by dropping it: that drops every task that is left, and waits for lookups of names, which
    // hang when the network is gone. A process that has lost its lease for that reason is to end.
    std::mem::forget(runtime);
    result
}
