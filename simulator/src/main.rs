//! The binary: reads the command line, serves a tenant, writes its ledger.

use std::process::ExitCode;

use aep_simulator::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aep-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}
