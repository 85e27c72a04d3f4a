//! The command line.

use std::{fmt::Display, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use jiff::SignedDuration;

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
    platform::Timeouts,
    polling::Intervals,
    telemetry::LogFormat,
};

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
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES")]
    pub watch_namespaces: Vec<String>,
    /// Serve only the objects whose labels match, as kubectl's -l has them. Absent: all.
    #[arg(long, value_name = "SELECTOR")]
    pub shard_selector: Option<Shard>,
    /// Serve the connections with this controllerClass, and all that uses them. Absent: those
    /// without one.
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub controller_class: Option<String>,
    /// This cluster's identity, which tells its exports from those of others: never to be changed,
    /// nor to be that of another cluster. Absent: the UID of the namespace kube-system, which takes
    /// the right to read that.
    #[arg(long, value_name = "ID", value_parser = identity)]
    pub cluster_id: Option<String>,
    /// Hosts that connections may name (comma-separated); replaces the default.
    #[arg(long, value_delimiter = ',', default_value = ADOBE_HOSTS, value_name = "HOSTS")]
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
    #[arg(long, value_name = "NAME")]
    pub lease_name: Option<String>,
    /// The lease's namespace. Absent: that of the pod, or of the kubeconfig.
    #[arg(long, value_name = "NAMESPACE")]
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
}

/// What is wrong with a flag of `run`, as clap tells its own errors: with the usage, to end with 2.
#[must_use]
pub fn wrong_usage(error: &impl Display) -> clap::Error {
    let mut cli = Cli::command();
    cli.build();
    match cli.find_subcommand_mut("run") {
        Some(run) => run.error(ErrorKind::ValueValidation, error),
        None => cli.error(ErrorKind::ValueValidation, error),
    }
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
        let certificates = ca_bundle
            .into_iter()
            .map(|path| std::fs::read(&path).map_err(|source| FlagError::File { path, source }))
            .collect::<Result<_, _>>()?;
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

/// Reads the identity of a cluster.
fn identity(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=63).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("write up to 63 letters, digits and hyphens, as a UID has them")
    }
}

/// Reads the class of an operator, as a connection has it.
fn class(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends_well = !text.starts_with('-') && !text.ends_with('-');
    if (1..=63).contains(&text.len()) && text.chars().all(fits) && ends_well {
        Ok(text.to_owned())
    } else {
        Err("write up to 63 lower-case letters, digits and hyphens, as blue")
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
mod tests {
    use super::*;

    fn run(flags: &[&str]) -> Result<Run, FlagError> {
        let args = ["aep-export-operator", "run"].iter().chain(flags);
        let Command::Run(args) = Cli::try_parse_from(args).unwrap().command else {
            unreachable!()
        };
        args.resolve()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_can_be_used() {
        let run = run(&[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            run.settings
                .allowed_hosts
                .contains(&"platform.adobe.io".to_owned())
        );
        assert!(!run.settings.allow_http);
        assert!(run.settings.timeouts.creation > Duration::from_mins(1));
        assert_eq!(run.election, None);
    }

    #[test]
    fn an_identity_is_taken_as_it_is_and_one_that_fits_no_tag_is_refused() {
        let uid = "44af9c8a-cb35-4a3f-95df-e76fcdc188ed";
        assert_eq!(
            run(&["--cluster-id", uid]).unwrap().cluster.as_deref(),
            Some(uid)
        );
        let long = "a".repeat(64);
        for id in ["", "a/b", "a b", long.as_str()] {
            let args = ["aep-export-operator", "run", "--cluster-id", id];
            let error = Cli::try_parse_from(args).unwrap_err().to_string();
            assert!(error.contains("--cluster-id"), "{error}");
        }
    }

    #[test]
    fn a_time_of_zero_is_refused_by_the_flags_name() {
        let Err(error) = run(&["--poll-interval-min", "0s"]) else {
            panic!("accepted")
        };
        assert_eq!(
            error.to_string(),
            "--poll-interval-min must be more than zero"
        );
    }

    #[test]
    fn a_flag_that_cannot_be_used_ends_the_program_with_two_and_shows_the_usage() {
        let error = wrong_usage(&FlagError::NotPositive("drain-timeout"));
        assert_eq!(error.exit_code(), 2);
        let said = error.to_string();
        assert!(
            said.contains("--drain-timeout must be more than zero"),
            "{said}"
        );
        assert!(said.contains("Usage: aep-export-operator run"), "{said}");
    }

    #[test]
    fn bounds_the_wrong_way_round_are_refused() {
        let flags = ["--poll-interval-min", "2m", "--poll-interval-max", "1m"];
        assert!(matches!(
            run(&flags),
            Err(FlagError::Bounds("poll-interval"))
        ));
    }

    #[test]
    fn a_lease_that_could_be_taken_from_a_holder_who_still_acts_is_refused() {
        for (flags, said) in [
            (
                ["--lease-duration", "20s"],
                "--lease-duration must be more than --lease-renew-deadline",
            ),
            (
                ["--lease-renew-deadline", "10s"],
                "--lease-renew-deadline must be more than --lease-renew-period",
            ),
        ] {
            let Err(error) = run(&flags) else {
                panic!("accepted")
            };
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn a_leader_is_elected_by_the_times_of_the_flags() {
        let run = run(&["--leader-elect"]).unwrap_or_else(|error| panic!("{error}"));
        let election = run.election.unwrap();
        assert_eq!(election.name, "aep-export-operator");
        assert_eq!(election.terms.duration, Duration::from_secs(30));
    }

    fn lease_name(flags: &[&str]) -> String {
        let run = run(flags).unwrap_or_else(|error| panic!("{error}"));
        run.election.unwrap().name
    }

    #[test]
    fn a_shard_has_a_lease_of_its_own_unless_its_name_is_given() {
        let elect = "--leader-elect";
        let names = ["team=a", "team==a", "team=b"]
            .map(|shard| lease_name(&[elect, "--shard-selector", shard]));
        assert_eq!(names[0], names[1]);
        assert_ne!(names[0], names[2]);
        assert!(names[0].starts_with("aep-export-operator-"), "{names:?}");
        let flags = [elect, "--shard-selector", "team=a", "--lease-name", "mine"];
        assert_eq!(lease_name(&flags), "mine");
    }

    #[test]
    fn a_class_has_a_lease_of_its_own_that_no_shard_has() {
        let elect = "--leader-elect";
        let names = [
            lease_name(&[elect]),
            lease_name(&[elect, "--controller-class", "blue"]),
            lease_name(&[elect, "--controller-class", "green"]),
            lease_name(&[elect, "--shard-selector", "a=b"]),
            lease_name(&[
                elect,
                "--shard-selector",
                "a=b",
                "--controller-class",
                "blue",
            ]),
        ];
        assert_eq!(names[1], "aep-export-operator.blue");
        assert_eq!(names[4], "aep-export-operator-42144f39.blue");
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_class_that_no_connection_can_have_is_refused_with_the_flags_name() {
        let long = "a".repeat(64);
        for class in ["", "Blue", "a.b", "-a", "a-", long.as_str()] {
            let flag = format!("--controller-class={class}");
            let args = ["aep-export-operator", "run", &flag];
            let error = Cli::try_parse_from(args).unwrap_err().to_string();
            assert!(error.contains("--controller-class"), "{error}");
        }
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused_with_the_flags_name() {
        let args = ["aep-export-operator", "run", "--shard-selector", "a=b=c"];
        let error = Cli::try_parse_from(args).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let said = error.to_string();
        assert!(said.contains("--shard-selector"), "{said}");
        assert!(said.contains("this is no label value"), "{said}");
    }
}
