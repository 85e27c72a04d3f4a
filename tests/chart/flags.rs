//! The flags that the chart starts the operator with.

use std::collections::BTreeSet;

use aep_export_operator::cli::{Cli, Command, RunArgs};
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use crate::{
    charts::{everything, modes},
    helm::{RELEASE, render},
};

/// Flags without a value of their own: few need them, and `extraArgs` takes them.
const EXTRA: [(&str, &str); 13] = [
    ("admin-address", "ports and probes are made for its default"),
    ("allow-http", "for a simulator, never for Adobe's hosts"),
    ("send-window", "a bound of the protocol"),
    ("unacknowledged-window", "a bound of the protocol"),
    ("gateway-window", "a bound of the protocol"),
    ("visibility-window", "a bound of the protocol"),
    ("batch-deadline", "a bound of Adobe's"),
    ("missing-job-grace", "a bound of Adobe's"),
    ("connect-timeout", "a bound of the network"),
    ("call-timeout", "a bound of the network"),
    (
        "drain-timeout",
        "terminationGracePeriodSeconds has room for its default",
    ),
    ("lease-namespace", "the pod's own, in which the rights are"),
    ("help", "for people"),
];

/// The arguments of the container.
pub fn arguments(values: &Value) -> Vec<String> {
    let manifests = render(&[values]).unwrap_or_else(|error| panic!("{error}"));
    let deployment = manifests.get(&format!("Deployment {RELEASE}"));
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    serde_json::from_value(container["args"].clone()).unwrap()
}

fn parsed(arguments: &[String]) -> RunArgs {
    let program = [RELEASE.to_owned()];
    let cli = Cli::try_parse_from(program.iter().chain(arguments));
    match cli.unwrap_or_else(|error| panic!("{error}")).command {
        Command::Run(args) => *args,
        Command::Crd(_) => panic!("it does not run"),
    }
}

#[test]
fn the_operator_takes_the_flags_of_every_mode() {
    for (mode, values) in modes() {
        let mut args = parsed(&arguments(&values));
        // The file is in the pod.
        args.ca_bundle.clear();
        if let Err(error) = args.resolve() {
            panic!("{mode}: {error}");
        }
    }
}

#[test]
fn without_values_the_operator_runs_as_it_does_without_flags() {
    let mut chart = parsed(&arguments(&json!({})));
    let bare = parsed(&["run".to_owned()]);
    assert!(chart.leader_elect);
    assert_eq!(chart.lease_name.take().as_deref(), Some(RELEASE));
    assert!(format!("{:?}", chart.log_format).eq_ignore_ascii_case("json"));
    chart.leader_elect = bare.leader_elect;
    chart.log_format = bare.log_format;
    assert_eq!(format!("{chart:#?}"), format!("{bare:#?}"));
}

#[test]
fn every_flag_has_a_value_or_a_reason_why_not() {
    let mut all = everything();
    all["watch"]["namespaces"] = json!(["team-a"]);
    let arguments = arguments(&all);
    let name = |argument: &String| {
        let flag = argument.strip_prefix("--")?;
        Some(flag.split('=').next().unwrap_or(flag).to_owned())
    };
    let extra = all["extraArgs"].as_array().unwrap().len();
    let own = &arguments[..arguments.len() - extra];
    let mut set: BTreeSet<String> = own.iter().filter_map(name).collect();
    for (flag, _) in EXTRA {
        assert!(set.insert(flag.to_owned()), "--{flag} has a value");
    }
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run").unwrap();
    let flags = run.get_arguments().filter_map(|flag| flag.get_long());
    let flags: BTreeSet<String> = flags.map(ToOwned::to_owned).collect();
    assert_eq!(set, flags);
}
