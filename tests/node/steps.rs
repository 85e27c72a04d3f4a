//! The life of a release, step by step.

use std::env;
use std::fmt::Write as _;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bill;
use crate::report::{Failed, Report};
use crate::tenant::{self, Counts, Tenant, namespace};
use crate::tools::{eventually, helm, is, items, json as get, kubectl, kubectl_with, text};

/// The release, and the namespace that it is in.
const RELEASE: &str = "aep-e2e-system";
/// The namespace of the exports.
const NAMESPACE: &str = "aep-e2e";
const KINDS: [&str; 3] = ["exportjobs", "profiledatasets", "platformconnections"];
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A lease that nobody renews is taken over after this time.
const LEASE: SignedDuration = SignedDuration::from_secs(10);
/// What a takeover may cost beside that, on a busy machine.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

/// What there is in the cluster.
#[derive(Debug)]
pub struct Story {
    /// Exports that were asked for so far.
    asked: u64,
    /// Whether the CRDs were there before.
    had_crds: bool,
}

impl Story {
    pub fn begin() -> Self {
        let crds = kubectl(&[
            "get",
            "crd",
            "exportjobs.aep-export.dev",
            "--ignore-not-found",
        ]);
        Self {
            asked: 0,
            had_crds: crds.is_ok_and(|found| !found.is_empty()),
        }
    }

    /// All steps; ends at the first that fails.
    pub fn tell(&mut self, report: &mut Report) -> Result<(), Failed> {
        report.step("the image's bill of materials", bill::check)?;
        let tenant = report.step("a simulated tenant runs as a pod", || {
            let tenant = Tenant::start()?;
            let saw = tenant.url();
            Ok((tenant, saw))
        })?;
        report.step("helm install, where pods have to be restricted", || {
            namespace(RELEASE)?;
            install(&tenant)
        })?;
        report.step("the demo's exports", || self.demo(&tenant))?;
        report.step("the leader's pod is deleted by force", || {
            self.takeover(&tenant, "while-the-leader-goes", |pod| {
                let force = ["--grace-period", "0", "--force"];
                kubectl(&[&["delete", "pod", pod, "--namespace", RELEASE], &force[..]].concat())?;
                Ok(())
            })
        })?;
        // Elsewhere the pods' processes are on another machine, or in a container.
        if on_own_node() {
            report.step("the leader's process is killed", || {
                self.takeover(&tenant, "while-the-leader-dies", |pod| {
                    let process = process_of(pod).ok_or("its process is nowhere")?;
                    kill_process(process, Signal::KILL).map_err(|error| error.to_string())
                })
            })?;
        }
        report.step("helm upgrade, while an export runs", || {
            self.upgrade(&tenant)
        })?;
        let held = report.step("helm uninstall, while an export runs", || {
            self.uninstall(&tenant)
        })?;
        report.step("helm install again", || self.again(&tenant, &held))?;
        report.step("what the tenant's ledger says", || self.judge(&tenant))
    }

    fn demo(&mut self, tenant: &Tenant) -> Result<((), String), String> {
        const VICTIM: &str = "cancelled-by-delete";

        namespace(NAMESPACE)?;
        for file in ["connection", "dataset", "exports"] {
            let path = format!("{ROOT}/examples/demo/{file}.yaml");
            let manifest = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            apply(&manifest.replace("http://127.0.0.1:8099", &tenant.url()))?;
        }
        let exports = get(&["get", "exportjobs", "--namespace", NAMESPACE])?;
        self.asked += u64::try_from(items(&exports).len()).unwrap();
        until(VICTIM, "Running")?;
        delete(VICTIM)?;
        for export in items(&exports) {
            let name = text(export, "/metadata/name");
            if name != VICTIM {
                until(name, "Succeeded")?;
            }
        }
        self.judge(tenant)
    }

    /// Ends the leader by what is given its pod's name, while an export runs.
    fn takeover(
        &mut self,
        tenant: &Tenant,
        held: &str,
        end: impl FnOnce(&str) -> Result<(), String>,
    ) -> Result<((), String), String> {
        let began = Timestamp::now();
        let job = self.held(tenant, held)?;
        let old = leader()?;
        end(pod_of(&old))?;
        let new = leader_after(&old)?;
        let fresh = format!("after-{held}");
        self.export(&fresh)?;
        until(&fresh, "Succeeded")?;
        tenant.release(&job)?;
        until(held, "Succeeded")?;
        let silence = silence(tenant, began, LEASE + SLACK)?;
        self.judge(tenant)?;
        Ok(((), format!("{new} took over from {old}, {silence}")))
    }

    fn upgrade(&mut self, tenant: &Tenant) -> Result<((), String), String> {
        ready()?;
        let job = self.held(tenant, "while-the-release-is-upgraded")?;
        let old = leader()?;
        let began = Timestamp::now();
        let mut values = values(tenant);
        values["podAnnotations"] = json!({"aep-export.dev/e2e": "upgraded"});
        release("upgrade", &values)?;
        let new = leader_after(&old)?;
        tenant.release(&job)?;
        until("while-the-release-is-upgraded", "Succeeded")?;
        // Who ends gives the lease up, so that nobody waits for it to run out.
        let silence = silence(tenant, began, LEASE)?;
        self.judge(tenant)?;
        let pods = ready()?;
        Ok(((), format!("{pods}; {new} took over from {old}, {silence}")))
    }

    fn uninstall(&mut self, tenant: &Tenant) -> Result<(String, String), String> {
        const FINISHED: &str = "all-profiles";

        let job = self.held(tenant, "while-there-is-no-release")?;
        let before = objects()?;
        let wait = ["--wait", "--timeout", TIMEOUT];
        helm(
            &[&["uninstall", RELEASE, "--namespace", RELEASE], &wait[..]].concat(),
            "",
        )?;
        eventually("the pods to be gone", || {
            match items(&get(&["get", "pods", "--namespace", RELEASE])?).len() {
                0 => Ok(()),
                left => Err(format!("{left} are left")),
            }
        })?;
        same(&objects()?, &before)?;
        delete(FINISHED)?;
        Ok((
            job,
            format!(
                "{} objects are kept; {FINISHED} could be deleted",
                before.len()
            ),
        ))
    }

    fn again(&mut self, tenant: &Tenant, job: &str) -> Result<((), String), String> {
        const HELD: &str = "while-there-is-no-release";

        install(tenant)?;
        tenant.release(job)?;
        let export = until(HELD, "Succeeded")?;
        same(&text(&export, "/status/jobId"), &job)?;
        self.export("after-it-all")?;
        until("after-it-all", "Succeeded")?;
        Ok(((), format!("job {job} of {HELD} was followed to its end")))
    }

    /// No export that was asked for is missing, and none came twice.
    fn judge(&self, tenant: &Tenant) -> Result<((), String), String> {
        let counts = tenant.counts()?;
        let expected = Counts {
            created: self.asked,
            succeeded: self.asked - 1,
            cancelled: 1,
            duplicates: 0,
        };
        same(&counts, &expected)?;
        Ok(((), format!("{counts:?}")))
    }

    fn export(&mut self, name: &str) -> Result<(), String> {
        let export = json!({
            "apiVersion": "aep-export.dev/v1alpha1",
            "kind": "ExportJob",
            "metadata": {"name": name},
            "spec": {"export": {"destination": {"datasetRef": {"name": "profiles"}}}},
        });
        self.asked += 1;
        apply(&export.to_string())
    }

    /// An export whose job runs until it is released; returns the job's id.
    fn held(&mut self, tenant: &Tenant, name: &str) -> Result<String, String> {
        tenant.hold(true)?;
        self.export(name)?;
        let export = until(name, "Running")?;
        tenant.hold(false)?;
        Ok(text(&export, "/status/jobId").to_owned())
    }

    /// Removes everything from a cluster that outlives this.
    pub fn clean_up(&self) {
        if on_own_node() {
            return;
        }
        let mut arguments = vec![
            "delete",
            "--all",
            "--namespace",
            NAMESPACE,
            "--timeout",
            "60s",
        ];
        let kinds = KINDS.join(",");
        arguments.insert(1, &kinds);
        let mut failures = String::new();
        let mut note = |result: Result<String, String>| {
            if let Err(error) = result {
                let _ = writeln!(failures, "e2e: {error}");
            }
        };
        // With the operator running, so that nothing is held that nobody would let go.
        note(kubectl(&arguments));
        note(helm(
            &[
                "uninstall",
                RELEASE,
                "--namespace",
                RELEASE,
                "--ignore-not-found",
            ],
            "",
        ));
        for namespace in [NAMESPACE, RELEASE] {
            note(kubectl(&[
                "delete",
                "namespace",
                namespace,
                "--ignore-not-found",
            ]));
        }
        note(tenant::clean_up().map(|()| String::new()));
        if !self.had_crds {
            note(kubectl(&[
                "delete",
                "--ignore-not-found",
                "--filename",
                &format!("{ROOT}/crds"),
            ]));
        }
        print!("{failures}");
    }
}

/// Prints what a person would look at first.
pub fn explain() {
    let looks: [&[&str]; 4] = [
        &["get", "pods", "--all-namespaces", "--output", "wide"],
        &["get", "aep", "--namespace", NAMESPACE, "--output", "wide"],
        &["get", "events", "--all-namespaces"],
        &[
            "logs",
            "--namespace",
            RELEASE,
            "--selector",
            "app.kubernetes.io/name=aep-export-operator",
            "--tail",
            "40",
            "--prefix",
        ],
    ];
    for look in looks {
        let shown = kubectl(look).unwrap_or_else(|error| error);
        println!("\nkubectl {}\n{shown}", look.join(" "));
    }
}

/// How long Helm waits for pods.
const TIMEOUT: &str = "3m";

/// Installs the release, or upgrades it, and waits for its pods; returns what Helm says.
fn release(verb: &str, values: &Value) -> Result<String, String> {
    let chart = format!("{ROOT}/charts/aep-export-operator");
    let arguments = [verb, RELEASE, &chart, "--namespace", RELEASE, "--values=-"];
    let wait = ["--wait", "--timeout", TIMEOUT];
    helm(&[&arguments, &wait[..]].concat(), &values.to_string())
}

/// The values of the release: the image, and a tenant without TLS that is polled often.
fn values(tenant: &Tenant) -> Value {
    let image = env::var("AEP_E2E_IMAGE").unwrap();
    let (repository, tag) = image.rsplit_once(':').unwrap();
    json!({
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "allowedHosts": [tenant.host],
        "extraArgs": ["--allow-http"],
        "polling": {"intervalMin": "500ms", "intervalMax": "1s"},
        "leaderElection": {
            "leaseDuration": format!("{}s", LEASE.as_secs()),
            "renewDeadline": "7s",
            "renewPeriod": "2s",
        },
    })
}

fn install(tenant: &Tenant) -> Result<((), String), String> {
    let said = release("install", &values(tenant))?;
    if said.contains("PodSecurity") || said.contains("WARNING") {
        return Err(said);
    }
    Ok(((), ready()?))
}

/// Waits until there are two pods of the release, and both ready.
fn ready() -> Result<String, String> {
    eventually("two pods to be ready", || {
        let pods = get(&["get", "pods", "--namespace", RELEASE])?;
        let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
        let shown: Vec<String> = items(&pods)
            .iter()
            .map(|pod| {
                let name = text(pod, "/metadata/name");
                let going = pod["metadata"]["deletionTimestamp"].is_string();
                let state = if going {
                    "going"
                } else if is(pod, "Ready") {
                    "Ready"
                } else {
                    "not ready"
                };
                format!(
                    "{name} is {state}, restarts {}",
                    restarts(pod).unwrap_or_default()
                )
            })
            .collect();
        let shown = shown.join(", ");
        if items(&pods).len() == 2 && shown.matches(" is Ready").count() == 2 {
            Ok(shown)
        } else {
            Err(shown)
        }
    })
}

/// Who holds the lease: the pod's name, and what tells its processes apart.
fn leader() -> Result<String, String> {
    eventually("a leader", || {
        let leases = get(&["get", "leases", "--namespace", RELEASE])?;
        let lease = items(&leases).first().ok_or("there is no lease")?;
        match text(lease, "/spec/holderIdentity") {
            "" => Err("nobody holds it".to_owned()),
            holder => Ok(holder.to_owned()),
        }
    })
}

fn leader_after(old: &str) -> Result<String, String> {
    eventually("another leader", || match leader()? {
        new if new == old => Err(new),
        new => Ok(new),
    })
}

fn pod_of(leader: &str) -> &str {
    leader.split_once('_').map_or(leader, |(pod, _)| pod)
}

/// Whether the cluster is one whose only node is made of processes beside this one.
fn on_own_node() -> bool {
    env::var_os("AEP_CONTROL_PLANE_DIR").is_some()
}

/// The operator's process in a pod: the one whose host name is the pod's.
fn process_of(pod: &str) -> Option<Pid> {
    let host = format!("HOSTNAME={pod}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |id: &i32| {
        let read = |file| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        read("cmdline").starts_with(b"/aep-export-operator\0")
            && read("environ")
                .split(|byte| *byte == 0)
                .any(|it| it == host.as_bytes())
    };
    Pid::from_raw(ids.into_iter().find(is_it)?)
}

fn apply(manifest: &str) -> Result<(), String> {
    kubectl_with(
        &["apply", "--namespace", NAMESPACE, "--filename", "-"],
        manifest,
    )?;
    Ok(())
}

fn delete(export: &str) -> Result<(), String> {
    kubectl(&[
        "delete",
        "exportjob",
        export,
        "--namespace",
        NAMESPACE,
        "--timeout",
        "60s",
    ])?;
    Ok(())
}

/// Waits for the phase of an export.
fn until(export: &str, phase: &str) -> Result<Value, String> {
    eventually(&format!("{export} to be {phase}"), || {
        let object = get(&["get", "exportjob", export, "--namespace", NAMESPACE])?;
        if text(&object, "/status/phase") == phase {
            Ok(object)
        } else {
            Err(object["status"].to_string())
        }
    })
}

/// The CRDs and the objects of this project, by name and UID.
fn objects() -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let groups = KINDS.map(|kind| format!("{kind}.aep-export.dev"));
    let crds = get(&[&["get", "crd"], &groups.each_ref().map(String::as_str)[..]].concat())?;
    let objects = get(&["get", &KINDS.join(","), "--namespace", NAMESPACE])?;
    for object in items(&crds).iter().chain(items(&objects)) {
        let part = |pointer| text(object, pointer);
        found.push(format!(
            "{} {} {}",
            part("/kind"),
            part("/metadata/name"),
            part("/metadata/uid")
        ));
    }
    Ok(found)
}

/// The longest time without a call to the tenant, since a moment; an export runs all the while.
fn silence(tenant: &Tenant, since: Timestamp, limit: SignedDuration) -> Result<String, String> {
    let calls = tenant.calls()?;
    let first = calls.partition_point(|at| *at < since).saturating_sub(1);
    let gaps = calls[first..]
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]));
    let longest = gaps.max().ok_or("no calls")?;
    let shown = format!("the longest silence was {:.1} s", longest.as_secs_f64());
    if longest < limit {
        Ok(shown)
    } else {
        Err(format!("{shown}, more than {limit:#}"))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected {
        Ok(())
    } else {
        Err(format!("{seen:?} instead of {expected:?}"))
    }
}
