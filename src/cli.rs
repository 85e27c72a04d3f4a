//! The command line.

use std::{ffi::OsString, fmt::Display, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use jiff::SignedDuration;
use reqwest::Certificate;

use crate::{
    api::ExportDeletionPolicy,
    control::{
        Settings,
        reach::{OPERATOR, of_class},
        shard::Shard,
    },
    decide::{
        Windows,
        export::{Delays, Limits},
    },
    lease::{self, Terms},
    platform::{BundleError, Timeouts, certificates},
    polling::Intervals,
    telemetry::LogFormat,
};

mod values;

/// Adobe's hosts: the gateway with its regional names, and the identity service.
const ADOBE_HOSTS: &str = "platform.adobe.io,platform-va7.adobe.io,platform-nld2.adobe.io,\
platform-aus5.adobe.io,platform-can2.adobe.io,platform-gbr9.adobe.io,platform-stage.adobe.io,\
ims-na1.adobelogin.com,ims-na1-stg1.adobelogin.com";

/// Runs Adobe Experience Platform profile exports from Kubernetes objects.
#[derive(Clone, Debug, Parser)]
#[command(name = "aep-export-operator", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// Print the CRDs as YAML, or write them to a folder.
    Crd(CrdArgs),
}

/// Flags of `crd`.
#[derive(Clone, Debug, Args)]
pub struct CrdArgs {
    /// Write one file for each kind into this folder instead.
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
    /// Print the reference of all fields as Markdown instead.
    #[arg(long, conflicts_with = "directory")]
    pub markdown: bool,
}

/// Flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which log lines are written: a level, or levels by target, comma-separated.
    #[arg(long, default_value = "info,kube_runtime=warn", value_name = "FILTER")]
    pub log_filter: String,
    /// Serve /livez, /readyz and /metrics on this address.
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub admin_address: SocketAddr,
    /// Watch only these namespaces (comma-separated). Absent: all.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES", value_parser = values::label)]
    pub watch_namespaces: Vec<String>,
    /// Serve only the objects whose labels match, as kubectl's -l has them. Absent: all.
    #[arg(long, value_name = "SELECTOR")]
    pub shard_selector: Option<Shard>,
    /// Serve the connections with this controllerClass, and all that uses them. Absent: those
    /// without one.
    #[arg(long, value_name = "CLASS", value_parser = values::label)]
    pub controller_class: Option<String>,
    /// This cluster's identity, which tells its exports from those of others: never to be changed,
    /// nor to be that of another cluster. Absent: the UID of the namespace kube-system, which takes
    /// the right to read that.
    #[arg(long, value_name = "ID", value_parser = values::identity)]
    pub cluster_id: Option<String>,
    /// Hosts that connections may name (comma-separated); replaces the default.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = ADOBE_HOSTS,
        value_name = "HOSTS",
        value_parser = values::host
    )]
    pub allowed_hosts: Vec<String>,
    /// Let connections name http endpoints: for a simulator, never for Adobe's hosts.
    #[arg(long)]
    pub allow_http: bool,
    /// Certificate authorities to trust beside the machine's own, in PEM; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Vec<PathBuf>,
    /// Poll a running export no sooner than this after its last poll.
    #[arg(long, default_value = "5s", value_name = "TIME")]
    pub poll_interval_min: SignedDuration,
    /// Poll a running export no later than this (and a tenth) after its last poll.
    #[arg(long, default_value = "5m", value_name = "TIME")]
    pub poll_interval_max: SignedDuration,
    /// Check a connection that works again after this time.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub connection_recheck: SignedDuration,
    /// Read a dataset again, and mend it if it differs, after this time (and up to a tenth).
    #[arg(long, default_value = "30m", value_name = "TIME")]
    pub dataset_refresh: SignedDuration,
    /// A request to create must leave within this time of its recorded intent.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub send_window: SignedDuration,
    /// The kernel may hold a sent request unacknowledged for this long.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub unacknowledged_window: SignedDuration,
    /// The platform's gateway may hold a request for this long.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub gateway_window: SignedDuration,
    /// What the platform has taken may stay out of its lists for this long.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub visibility_window: SignedDuration,
    /// Wait this long for the batches of a succeeded export to be readable.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub batch_deadline: SignedDuration,
    /// Wait this long for a cancelled export to end before its object is let go.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub cancel_deadline: SignedDuration,
    /// Count a job as gone that the platform had and has not shown for this time.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub missing_job_grace: SignedDuration,
    /// Wait this long before the second attempt of an export that failed; twice as long before
    /// each further one.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub retry_delay_min: SignedDuration,
    /// Wait no longer than this before a further attempt.
    #[arg(long, default_value = "30m", value_name = "TIME")]
    pub retry_delay_max: SignedDuration,
    /// What becomes of an export that has not ended when its object is deleted, where neither the
    /// object nor its namespace says so.
    #[arg(long, value_enum, default_value = "Cancel", value_name = "POLICY")]
    pub deletion_policy: ExportDeletionPolicy,
    /// Give up a connection attempt to the platform after this time.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub connect_timeout: SignedDuration,
    /// Give up a call to the platform after this time (a creation has the gateway's time too).
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub call_timeout: SignedDuration,
    /// End within this time of SIGTERM.
    #[arg(long, default_value = "9s", value_name = "TIME")]
    pub drain_timeout: SignedDuration,
    /// Act only while this process holds the lease, so that several can run.
    #[arg(long)]
    pub leader_elect: bool,
    /// The lease's name. Absent: aep-export-operator, and a suffix for each shard and class.
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub lease_name: Option<String>,
    /// The lease's namespace. Absent: that of the pod, or of the kubeconfig.
    #[arg(long, value_name = "NAMESPACE", value_parser = values::label)]
    pub lease_namespace: Option<String>,
    /// Take over a lease that has not changed for this time.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub lease_duration: SignedDuration,
    /// End if the lease could not be renewed for this time.
    #[arg(long, default_value = "20s", value_name = "TIME")]
    pub lease_renew_deadline: SignedDuration,
    /// Renew the lease this long after the last renewal.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub lease_renew_period: SignedDuration,
}

/// A flag that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// A time is zero or negative.
    #[error("--{0} must be more than zero")]
    NotPositive(&'static str),
    /// Two bounds are the wrong way round.
    #[error("--{0}-min must not be more than --{0}-max")]
    Bounds(&'static str),
    /// Two times are the wrong way round.
    #[error("--{0} must be more than --{1}")]
    NotMore(&'static str, &'static str),
    /// A file cannot be read.
    #[error("--ca-bundle {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it cannot be used.
    #[error("--ca-bundle {path}: {source}")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
}

/// Reads the command line.
///
/// # Errors
///
/// What is wrong with it, to end with 2, or what was asked for instead of a command. Of a value
/// that cannot be read clap does not show the usage by itself.
pub fn parse<T>(line: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error>
where
    T: Into<OsString>,
{
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    Cli::try_parse_from(&line).map_err(|mut error| {
        let wrong = [ErrorKind::InvalidValue, ErrorKind::ValueValidation].contains(&error.kind());
        if wrong && error.get(ContextKind::Usage).is_none() {
            let name = line.get(1).and_then(|name| name.to_str());
            let usage = command(name.unwrap_or_default()).render_usage();
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
        error
    })
}

/// What is wrong with a flag of `run`, as clap tells its own errors: with the usage, to end with 2.
#[must_use]
pub fn wrong_usage(error: &impl Display) -> clap::Error {
    command("run").error(ErrorKind::ValueValidation, error)
}

/// What clap knows of a command, or of all of them if there is none of this name.
fn command(name: &str) -> clap::Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).cloned().unwrap_or(cli)
}

/// The flags of `run`, as the parts of the program take them.
pub struct Run {
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which.
    pub log_filter: String,
    /// Where the admin server listens.
    pub admin_address: SocketAddr,
    /// Which namespaces; none: all.
    pub namespaces: Vec<String>,
    /// Which objects in them; none: all.
    pub shard: Option<Shard>,
    /// By connections of which class; none: of those without.
    pub class: Option<String>,
    /// The cluster's identity; none: it is read.
    pub cluster: Option<String>,
    /// What the passes take.
    pub settings: Settings,
    /// What the board takes.
    pub intervals: Intervals,
    /// How long the end may take.
    pub drain: Duration,
    /// The lease to be elected by; none: this process acts without.
    pub election: Option<lease::Settings>,
}

impl RunArgs {
    /// Checks the flags and hands them to their parts; a flag that no part takes does not compile.
    ///
    /// # Errors
    ///
    /// The flag that cannot be used.
    pub fn resolve(self) -> Result<Run, FlagError> {
        let Self {
            log_format,
            log_filter,
            admin_address,
            watch_namespaces,
            shard_selector: shard,
            controller_class: class,
            cluster_id: cluster,
            allowed_hosts,
            allow_http,
            ca_bundle,
            poll_interval_min,
            poll_interval_max,
            connection_recheck,
            dataset_refresh,
            send_window,
            unacknowledged_window,
            gateway_window,
            visibility_window,
            batch_deadline,
            cancel_deadline,
            missing_job_grace,
            retry_delay_min,
            retry_delay_max,
            deletion_policy,
            connect_timeout,
            call_timeout,
            drain_timeout,
            leader_elect,
            lease_name,
            lease_namespace,
            lease_duration,
            lease_renew_deadline,
            lease_renew_period,
        } = self;
        let intervals = Intervals {
            min: positive("poll-interval-min", poll_interval_min)?,
            max: positive("poll-interval-max", poll_interval_max)?,
        };
        if intervals.min > intervals.max {
            return Err(FlagError::Bounds("poll-interval"));
        }
        let send = signed("send-window", send_window)?;
        let gateway = signed("gateway-window", gateway_window)?;
        let windows = Windows {
            send,
            delivery: signed("unacknowledged-window", unacknowledged_window)? + gateway,
            visibility: signed("visibility-window", visibility_window)?,
        };
        let call = positive("call-timeout", call_timeout)?;
        let timeouts = Timeouts {
            connect: positive("connect-timeout", connect_timeout)?,
            read: call,
            call,
            // Longer than the gateway's own, so that its answer is heard.
            creation: call + positive("gateway-window", gateway)?,
        };
        let bundles: Vec<_> = ca_bundle
            .into_iter()
            .map(bundle)
            .collect::<Result<_, _>>()?;
        let certificates = bundles.concat();
        let terms = terms(lease_duration, lease_renew_deadline, lease_renew_period)?;
        let election = lease::Settings {
            name: lease_name.unwrap_or_else(|| lease_of(shard.as_ref(), class.as_deref())),
            namespace: lease_namespace,
            terms,
        };
        let settings = Settings {
            allowed_hosts,
            allow_http,
            deletion_policy,
            limits: Limits {
                windows,
                batch: signed("batch-deadline", batch_deadline)?,
                cancel: signed("cancel-deadline", cancel_deadline)?,
                missing: signed("missing-job-grace", missing_job_grace)?,
                retry: delays(retry_delay_min, retry_delay_max)?,
            },
            timeouts,
            recheck: positive("connection-recheck", connection_recheck)?,
            refresh: positive("dataset-refresh", dataset_refresh)?,
            certificates,
        };
        Ok(Run {
            log_format,
            log_filter,
            admin_address,
            namespaces: watch_namespaces,
            shard,
            class,
            cluster,
            settings,
            intervals,
            drain: positive("drain-timeout", drain_timeout)?,
            election: leader_elect.then_some(election),
        })
    }
}

/// The lease of a shard and a class, or of all objects: who serves others does not wait for it.
fn lease_of(shard: Option<&Shard>, class: Option<&str>) -> String {
    let name = shard.map_or_else(|| OPERATOR.to_owned(), |shard| shard.lease(OPERATOR));
    of_class(&name, class)
}

/// The times of a lease; a holder has stopped before another may take over.
fn terms(
    duration: SignedDuration,
    renew_deadline: SignedDuration,
    renew_period: SignedDuration,
) -> Result<Terms, FlagError> {
    let terms = Terms {
        duration: positive("lease-duration", duration)?,
        renew_deadline: positive("lease-renew-deadline", renew_deadline)?,
        renew_period: positive("lease-renew-period", renew_period)?,
    };
    if terms.duration <= terms.renew_deadline {
        return Err(FlagError::NotMore("lease-duration", "lease-renew-deadline"));
    }
    if terms.renew_deadline <= terms.renew_period {
        return Err(FlagError::NotMore(
            "lease-renew-deadline",
            "lease-renew-period",
        ));
    }
    Ok(terms)
}

/// The waits between attempts.
fn delays(first: SignedDuration, longest: SignedDuration) -> Result<Delays, FlagError> {
    let delays = Delays {
        first: signed("retry-delay-min", first)?,
        longest: signed("retry-delay-max", longest)?,
    };
    if delays.first > delays.longest {
        return Err(FlagError::Bounds("retry-delay"));
    }
    Ok(delays)
}

/// The certificates in a file.
fn bundle(path: PathBuf) -> Result<Vec<Certificate>, FlagError> {
    match std::fs::read(&path) {
        Ok(pem) => certificates(&pem).map_err(|source| FlagError::Bundle { path, source }),
        Err(source) => Err(FlagError::File { path, source }),
    }
}

fn signed(flag: &'static str, time: SignedDuration) -> Result<SignedDuration, FlagError> {
    if time.is_positive() {
        Ok(time)
    } else {
        Err(FlagError::NotPositive(flag))
    }
}

fn positive(flag: &'static str, time: SignedDuration) -> Result<Duration, FlagError> {
    Duration::try_from(signed(flag, time)?).map_err(|_| FlagError::NotPositive(flag))
}

#[cfg(test)]
mod tests;
