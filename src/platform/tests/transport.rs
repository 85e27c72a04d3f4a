//! Time-outs, bounds, connections, redirects, the clock and the observer.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, watch},
};

use super::*;

fn short(stub: &Stub, timeouts: Timeouts) -> Platform {
    let mut settings = stub.settings();
    settings.timeouts = timeouts;
    Platform::new(settings, PlatformClock::system()).unwrap()
}

/// Serves one reply in pieces, one every 20 ms, for ever repeating the last.
async fn dripping(head: &'static str, piece: &'static [u8]) -> Settings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = raw(&listener, "http");
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(head.as_bytes()).await;
                while socket.write_all(piece).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    settings
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    // A TLS handshake that nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("https://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let endpoints = Endpoints {
        platform: url.clone(),
        ims: url,
    };
    let mut settings = Settings::new(endpoints, "o", "s", credential());
    settings.timeouts.connect = Duration::from_millis(50);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.authenticate().await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "connect_failed")
    );
}

#[tokio::test]
async fn a_reply_that_does_not_come_is_given_up() {
    let stub = Stub::start(|_, _| Canned::silent()).await;
    let platform = short(
        &stub,
        Timeouts {
            read: Duration::from_millis(500),
            ..Timeouts::default()
        },
    );
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "timed_out")
    );
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let mut settings = dripping("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"").await;
    settings.timeouts.read = Duration::from_millis(500);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "timed_out")
    );
    assert_eq!(error.status(), Some(200));
}

#[tokio::test]
async fn a_reply_that_drips_for_ever_is_bounded_by_the_whole_call() {
    let mut settings = dripping("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{", b" ").await;
    settings.timeouts.call = Duration::from_millis(500);
    settings.timeouts.creation = Duration::from_millis(500);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "timed_out")
    );
    let error = submit(&platform).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::InDoubt, "timed_out")
    );
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_not_read() {
    let large = format!(
        r#"{{"records": [], "x": "{}"}}"#,
        "x".repeat(9 * 1024 * 1024)
    );
    let stub = Stub::always(200, large).await;
    let error = stub.platform().export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "too_large")
    );
    let error = submit(&stub.platform()).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::InDoubt, "too_large")
    );
}

#[tokio::test]
async fn a_truncated_reply_is_not_taken_for_a_whole_one() {
    // A Content-Length that the connection does not live up to.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = raw(&listener, "http");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = socket.read(&mut buffer).await;
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"records\": []}";
        socket.write_all(reply).await.unwrap();
    });
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "broken")
    );
}

/// Answers lists once `together` of them are there, each on a connection of its own, and tells how
/// many connections are open.
async fn meeting(together: usize) -> (Settings, watch::Receiver<usize>) {
    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"records\": []}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = raw(&listener, "http");
    let (open, told) = watch::channel(0);
    let all = Arc::new(Barrier::new(together));
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (open, all) = (open.clone(), Arc::clone(&all));
            open.send_modify(|open| *open += 1);
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while socket.read(&mut buffer).await.unwrap_or(0) > 0 {
                    all.wait().await;
                    socket.write_all(REPLY).await.unwrap();
                }
                open.send_modify(|open| *open -= 1);
            });
        }
    });
    (settings, told)
}

#[tokio::test]
async fn many_calls_at_a_time_leave_few_connections_behind() {
    let (settings, mut open) = meeting(12).await;
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let calls = (0..12).map(|_| platform.export_jobs(None, 1));
    futures::future::try_join_all(calls).await.unwrap();
    let few = open.wait_for(|open| *open <= 4);
    let few = tokio::time::timeout(Duration::from_secs(10), few).await;
    assert!(few.is_ok_and(|open| open.is_ok()), "more are kept open");
}

#[tokio::test]
async fn a_redirect_takes_no_token_to_another_host() {
    let elsewhere = Stub::always(200, r#"{"records": []}"#).await;
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.url.join("take/this").unwrap();
        let stub =
            Stub::start(move |_, _| Canned::status(status).with("location", to.as_str())).await;
        let platform = stub.platform();
        let error = platform.export_jobs(None, 1).await.unwrap_err();
        assert_eq!(
            (error.consequence(), error.reason()),
            (Consequence::Redirected, "Redirected")
        );
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        let error = submit(&platform).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::InDoubt);
        assert_eq!(stub.calls().len(), 2);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_redirects_target_is_named_by_its_host_alone() {
    for (to, named) in [
        ("https://evil.example/x?token=1", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("/elsewhere", "another path"),
    ] {
        let stub = Stub::start(move |_, _| Canned::status(307).with("location", to)).await;
        let error = stub.platform().export_jobs(None, 1).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("points to {named}, which")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_clock_follows_the_platforms_date_and_the_boot_clock_between() {
    let stub = Stub::bare(|seen, _| {
        if seen.is_token_call() {
            return token_reply(1).with("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        }
        Canned::text(200, r#"{"records": []}"#).with("date", "Sun, 22 Nov 2026 09:00:00 GMT")
    })
    .await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    let now = |text: &str| assert_eq!(platform.now(), text.parse().unwrap());
    now("2026-11-22T12:16:40Z");
    platform.authenticate().await.unwrap();
    now("2026-11-22T10:00:00Z");
    assert!(!platform.clock().is_synchronized(), "IMS has other clocks");
    platform.export_jobs(None, 1).await.unwrap();
    now("2026-11-22T09:00:00Z");
    assert!(platform.clock().is_synchronized());
    hands.turn(Duration::from_millis(1500));
    now("2026-11-22T09:00:01.5Z");
    // A Date is cut to the second and ages on its way: less than two seconds behind is no step.
    platform.export_jobs(None, 1).await.unwrap();
    now("2026-11-22T09:00:01.5Z");
    hands.turn(Duration::from_mins(1));
    platform.export_jobs(None, 1).await.unwrap();
    now("2026-11-22T09:00:00Z");
}

#[tokio::test]
async fn the_observer_is_told_of_every_http_call_once() {
    let stub = Stub::start(|_, before| match before {
        0 => Canned::status(401),
        1 => Canned::text(200, r#"{"records": []}"#),
        2 => Canned::status(429),
        _ => Canned::silent(),
    })
    .await;
    let records: Arc<Mutex<Vec<CallRecord>>> = Arc::default();
    let mut settings = stub.settings();
    settings.timeouts.read = Duration::from_millis(500);
    let log = Arc::clone(&records);
    settings.observer = Some(Arc::new(move |record| log.lock().unwrap().push(*record)));
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    platform.export_jobs(None, 1).await.unwrap();
    platform.export_jobs(None, 1).await.unwrap_err();
    platform.export_jobs(None, 1).await.unwrap_err();
    let records: Vec<_> = records
        .lock()
        .unwrap()
        .iter()
        .map(|it| (it.operation, it.outcome, it.status))
        .collect();
    let expected = [
        ("fetch_access_token", "ok", Some(200)),
        ("list_export_jobs", "unauthenticated", Some(401)),
        ("fetch_access_token", "ok", Some(200)),
        ("list_export_jobs", "ok", Some(200)),
        ("list_export_jobs", "throttled", Some(429)),
        ("list_export_jobs", "timed_out", None),
    ];
    assert_eq!(records, expected);
}
