//! The command line, and the help that explains all of the tenant.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::options::{Options, OptionsError, Sandbox};
use crate::server::Simulator;
use crate::switches;

/// An Adobe Experience Platform tenant to run locally.
///
/// IMS, the gateway's checks, the Catalog and the export jobs of one organisation, on one port.
/// Without flags it works: client id demo-client, client secret demo-secret, sandbox prod.
#[derive(Parser)]
#[command(name = "aep-simulator", version, verbatim_doc_comment)]
struct Arguments {
    /// The address to listen on; port 0 picks a free one, which the first line on stdout names.
    #[arg(long, default_value = "127.0.0.1:8099", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// The client id, which is the API key too.
    #[arg(long, default_value = "demo-client", value_name = "ID")]
    client_id: String,

    /// A client secret; repeat it for several that are valid at once.
    #[arg(
        long = "client-secret",
        default_value = "demo-secret",
        value_name = "SECRET"
    )]
    client_secrets: Vec<String>,

    /// The organisation.
    #[arg(
        long,
        default_value = "745F37C35E4B776E0A49421B@AdobeOrg",
        value_name = "ID"
    )]
    organization_id: String,

    /// A sandbox of the credential; repeat it for more. Type production or development, state
    /// creating, active, deleting, resetting, deleted or failed; an absent part is production,
    /// active, VA7.
    #[arg(
        long = "sandbox",
        verbatim_doc_comment,
        default_value = "prod:production:active:VA7",
        value_name = "NAME[:TYPE[:STATE[:REGION]]]"
    )]
    sandboxes: Vec<Sandbox>,

    /// A token that is valid without IMS, with the client id as the API key.
    #[arg(long, value_name = "TOKEN")]
    access_token: Option<String>,

    /// The life of a token from IMS.
    #[arg(long, default_value_t = 86_399, value_name = "SECONDS")]
    token_lifetime: u64,

    /// How much faster than the wall's the clock of the jobs goes: 60 makes a minute of a job's
    /// life a second, 0 stops it. Dates are always the wall's.
    #[arg(
        long,
        default_value_t = 1.0,
        value_name = "FACTOR",
        verbatim_doc_comment
    )]
    clock_scale: f64,

    /// How long a job takes on its clock, from NEW to its end; for the first fifth it is NEW,
    /// then PROCESSING.
    #[arg(
        long,
        default_value_t = 60.0,
        value_name = "SECONDS",
        verbatim_doc_comment
    )]
    job_duration: f64,

    /// Switches: a file with one JSON object, merged into the defaults.
    #[arg(long, value_name = "FILE")]
    switches: Option<PathBuf>,

    /// Faults: a file with one fault as JSON, or a list of them.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// Where the ledger is written as JSON when SIGTERM or SIGINT ends the tenant.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// What is logged to stderr, such as debug, or `aep_simulator=debug,info`.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: EnvFilter,
}

/// The command line, read.
pub struct Cli(Arguments);

impl Cli {
    /// Reads the command line; wrong ones, `--help` and `--version` end the process.
    #[must_use]
    pub fn parse() -> Self {
        let matches = Self::command().get_matches();
        match Arguments::from_arg_matches(&matches) {
            Ok(arguments) => Self(arguments),
            Err(error) => error.exit(),
        }
    }

    fn command() -> clap::Command {
        Arguments::command().after_long_help(long_help())
    }

    /// Serves a tenant until SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// Options that cannot be used, an address that is taken, a ledger that cannot be written.
    pub async fn run(self) -> Result<(), RunError> {
        let Arguments {
            listen,
            log,
            ledger,
            ..
        } = &self.0;
        let (listen, ledger) = (*listen, ledger.clone());
        tracing_subscriber::fmt()
            .with_env_filter(log.to_string())
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .init();
        let simulator = Simulator::new(&self.options()?)?;
        // Before the line that says so: who reads it may send a signal at once.
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
        let failed = |source| RunError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut stdout = io::stdout();
        writeln!(stdout, "aep-simulator listening on http://{address}")
            .and_then(|()| stdout.flush())
            .map_err(RunError::Stdout)?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM"),
                _ = interrupt.recv() => tracing::info!("SIGINT"),
            }
        };
        simulator.serve(listener, shutdown).await.map_err(failed)?;
        if let Some(path) = ledger {
            std::fs::write(&path, simulator.ledger())
                .map_err(|source| RunError::File { path, source })?;
        }
        Ok(())
    }

    fn options(&self) -> Result<Options, RunError> {
        let arguments = &self.0;
        Ok(Options {
            client_id: arguments.client_id.clone(),
            client_secrets: arguments.client_secrets.clone(),
            organization_id: arguments.organization_id.clone(),
            sandboxes: arguments.sandboxes.clone(),
            access_token: arguments.access_token.clone(),
            token_lifetime_seconds: arguments.token_lifetime,
            clock_scale: arguments.clock_scale,
            job_duration_seconds: arguments.job_duration,
            switches: read(arguments.switches.as_deref())?,
            faults: read(arguments.faults.as_deref())?,
        })
    }
}

fn read(path: Option<&Path>) -> Result<Option<String>, RunError> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|source| RunError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(text))
}

/// Why a tenant could not be served.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Options that cannot be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals that cannot be heard.
    #[error("cannot hear signals: {0}")]
    Signal(io::Error),
    /// A reader of stdout that has gone.
    #[error("cannot write to stdout: {0}")]
    Stdout(io::Error),
}

/// What no flag says: endpoints, switches, faults, the ledger.
fn long_help() -> String {
    format!(
        "{}{}{}{}{}",
        include_str!("help/platform.txt"),
        switches::help(),
        include_str!("help/faults.txt"),
        switches::lasting_help(),
        include_str!("help/admin.txt")
    )
}
