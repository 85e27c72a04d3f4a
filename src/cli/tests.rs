//! What flags are taken, and how others are refused.

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
fn a_bundle_that_is_not_there_or_has_no_certificate_is_refused_by_its_name() {
    for (path, said) in [
        ("Cargo.toml", "--ca-bundle Cargo.toml: holds no certificate"),
        ("none.pem", "--ca-bundle none.pem: No such file"),
    ] {
        let Err(error) = run(&["--ca-bundle", path]) else {
            panic!("accepted")
        };
        assert!(error.to_string().starts_with(said), "{error}");
    }
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
fn a_value_that_cannot_be_used_is_refused_with_the_flags_name_and_the_usage() {
    for (flag, value, said) in [
        ("--shard-selector", "a=b=c", "this is no label value"),
        ("--watch-namespaces", "team-a,Team_B", "lower-case letters"),
        ("--watch-namespaces", "", "lower-case letters"),
        ("--controller-class", "Blue", "lower-case letters"),
        ("--cluster-id", "a/b", "as a UID has them"),
        ("--allowed-hosts", "https://aep.example", "a host alone"),
        ("--allowed-hosts", "*.adobe.io", "no wildcards"),
        ("--lease-name", "a/b", "as Kubernetes' names have them"),
        ("--lease-namespace", "a.b", "lower-case letters"),
        ("--poll-interval-min", "soon", "duration"),
        (
            "--deletion-policy",
            "Keep",
            "possible values: Cancel, Orphan",
        ),
    ] {
        let args = ["aep-export-operator", "run", flag, value];
        let error = parse(args).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = error.to_string();
        for part in [flag, said, "Usage: aep-export-operator run"] {
            assert!(error.contains(part), "{error}");
        }
    }
    let error = parse(["aep-export-operator", "crd", "--directory="]).unwrap_err();
    let usage = "Usage: aep-export-operator crd";
    assert!(error.to_string().contains(usage), "{error}");
}

#[test]
fn help_and_the_version_are_no_errors() {
    for flag in ["--help", "--version"] {
        let shown = parse(["aep-export-operator", flag]).unwrap_err();
        assert_eq!(shown.exit_code(), 0, "{shown}");
    }
}
