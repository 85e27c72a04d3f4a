//! The operator: parses, runs, and turns an error into an exit code.

use std::process::ExitCode;

use aep_export_operator::{cli::Cli, run};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match run::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aep-export-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
