//! The binary itself: its first line, its help, its end.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const BINARY: &str = env!("CARGO_BIN_EXE_aep-simulator");

async fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(BINARY).args(arguments).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Starts the binary on a free port; returns it and its address.
async fn start(arguments: &[&str]) -> (Child, BufReader<tokio::process::ChildStdout>, String) {
    let mut child = Command::new(BINARY)
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).await.unwrap();
    let url = line
        .trim_end()
        .strip_prefix("aep-simulator listening on ")
        .unwrap()
        .to_owned();
    (child, stdout, url)
}

#[tokio::test]
async fn the_help_explains_endpoints_switches_faults_and_the_ledger() {
    let (code, help, _) = run(&["--help"]).await;
    assert_eq!(code, 0);
    for word in [
        "--client-secret",
        "--sandbox",
        "--clock-scale",
        "--ledger",
        "/ims/token/v3",
        "/data/core/ups/export/jobs/{id}",
        "SWITCHES",
        "datasetKeyInReply: datasetId | dataSetId",
        "(row 22)",
        "FAULTS",
        "delayMilliseconds",
        "forMilliseconds",
        "againAfterMilliseconds",
        "listCursor: creationTimeAndId | number",
        "shiftSeconds",
        "createdOverOne",
        "Retry-After",
        "/_simulator/summary",
        "THE LEDGER",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[tokio::test]
async fn it_says_where_it_listens_and_leaves_its_ledger_when_it_is_told_to_end() {
    let directory = std::env::temp_dir().join(format!("aep-simulator-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for (signal, number) in [("TERM", 0), ("INT", 1)] {
        let ledger = directory.join(format!("ledger-{number}.json"));
        let (mut child, mut stdout, url) = start(&["--ledger", ledger.to_str().unwrap()]).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .get(format!("{url}/data/core/ups/export/jobs"))
            .send()
            .await
            .unwrap();
        let pid = child.id().unwrap().to_string();
        Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .await
            .unwrap();
        assert!(child.wait().await.unwrap().success());
        let mut rest = String::new();
        stdout.read_line(&mut rest).await.unwrap();
        assert_eq!(rest, "", "nothing else is on stdout");
        let ledger: Value = serde_json::from_slice(&std::fs::read(&ledger).unwrap()).unwrap();
        assert_eq!(ledger["summary"]["requests"], 1);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn it_reads_switches_and_faults_from_files_and_refuses_bad_ones() {
    let directory =
        std::env::temp_dir().join(format!("aep-simulator-files-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let switches = file(
        "switches.json",
        r#"{"flavour": "profile", "createStatus": 202}"#,
    );
    let faults = file(
        "faults.json",
        r#"[{"path": "/ims/*", "action": {"reply": {"status": 500}}}]"#,
    );
    let (_child, _stdout, url) = start(&["--switches", &switches, "--faults", &faults]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let shown: Value = client
        .get(format!("{url}/_simulator/switches"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&shown["flavour"], &shown["createStatus"]),
        (&"profile".into(), &202.into())
    );
    let reply = client
        .post(format!("{url}/ims/token/v3"))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 500);

    let bad = file("bad.json", r#"{"listLag": 1}"#);
    let (code, stdout, stderr) = run(&["--switches", &bad]).await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("listLag"), "{stderr}");
    let (code, _, stderr) = run(&["--sandbox", "Prod"]).await;
    assert_eq!(code, 2, "{stderr}");
    let (code, _, stderr) = run(&["--clock-scale=-1"]).await;
    assert_eq!(code, 1, "{stderr}");
    std::fs::remove_dir_all(&directory).unwrap();
}
