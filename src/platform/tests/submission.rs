//! The one POST that must not leave late, or twice, and what its outcome proves.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::*;

async fn of(canned: impl Fn() -> Canned + Send + Sync + 'static) -> (PlatformError, usize) {
    let stub = Stub::start(move |_, _| canned()).await;
    let error = submit(&stub.platform()).await.unwrap_err();
    let calls = stub.calls().len();
    (error, calls)
}

#[tokio::test]
async fn an_answer_is_classified_by_what_it_proves() {
    use Consequence::{InDoubt, Refused, Rejected};
    let wait = Some(Duration::from_secs(30));
    for (status, body, consequence) in [
        (400, String::new(), Rejected),
        (400, gateway("400003"), Rejected),
        (404, String::new(), Rejected),
        (409, String::new(), Rejected),
        (422, String::new(), Rejected),
        (401, gateway("401013"), Refused(Refusal::Unauthenticated)),
        (403, gateway("403027"), Refused(Refusal::Forbidden)),
        (403, gateway("503020"), Refused(Refusal::Forbidden)),
        (
            429,
            gateway("429050"),
            Refused(Refusal::Throttled { retry_after: wait }),
        ),
        // Not the gateway's envelope, or not one that fits its status: no proof.
        (401, String::new(), InDoubt),
        (401, gateway("403027"), InDoubt),
        (401, gateway("40101"), InDoubt),
        (401, gateway("40101x"), InDoubt),
        (403, r#"{"code": "UPAPI-113752-403"}"#.to_owned(), InDoubt),
        (
            429,
            r#"{"title": "RequestRateTooLarge"}"#.to_owned(),
            InDoubt,
        ),
        (402, String::new(), InDoubt),
        (405, String::new(), InDoubt),
        (408, String::new(), InDoubt),
        (412, String::new(), InDoubt),
        (500, String::new(), InDoubt),
        (502, "<html>".to_owned(), InDoubt),
        (503, gateway("503010"), InDoubt),
        (504, String::new(), InDoubt),
        (302, String::new(), InDoubt),
    ] {
        let text = body.clone();
        let canned = move || Canned::text(status, body.clone()).with("retry-after", "30");
        let (error, calls) = of(canned).await;
        assert_eq!(error.consequence(), consequence, "{status} {text}");
        assert_eq!(error.retry_after(), wait, "{status} {text}");
        assert_eq!(calls, 1, "never repeated: {status} {text}");
    }
}

#[tokio::test]
async fn a_2xx_that_cannot_be_read_is_in_doubt() {
    for body in [
        "",
        "{",
        "<html>",
        "null",
        "[]",
        r#"{"id": 1}"#,
        r#"{"id": 1.5, "status": "NEW"}"#,
    ] {
        let (error, calls) = of(move || Canned::text(200, body)).await;
        assert_eq!(
            (error.consequence(), calls),
            (Consequence::InDoubt, 1),
            "{body}"
        );
        assert_eq!(error.reason(), "SubmissionInDoubt");
    }
}

#[tokio::test]
async fn a_refused_token_is_dropped_but_the_submission_not_repeated() {
    let stub = Stub::always(401, gateway("401013")).await;
    let platform = stub.platform();
    submit(&platform).await.unwrap_err();
    assert_eq!((stub.calls().len(), stub.token_calls()), (1, 1));
    platform.authenticate().await.unwrap();
    assert_eq!(stub.token_calls(), 2, "the next try has a fresh one");
}

#[tokio::test]
async fn a_submission_without_a_token_is_not_sent() {
    let stub = Stub::bare(|_, _| Canned::text(400, r#"{"error": "invalid_client"}"#)).await;
    let error = submit(&stub.platform()).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::NotSent);
    assert!(error.to_string().contains("no access token"), "{error}");
    assert_eq!(stub.calls().len(), 0);
}

#[tokio::test]
async fn a_closed_fence_keeps_everything() {
    let stub = Stub::always(200, "{}").await;
    let platform = stub.platform();
    platform.authenticate().await.unwrap();
    let late = Fence::until(platform.now(), Arc::clone(platform.clock()));
    let lost = CancellationToken::new();
    lost.cancel();
    let unheld = open(&platform).only_while(Arc::new(|| false));
    for fence in [late, open(&platform).closed_by(lost), unheld] {
        assert!(!fence.is_open());
        let error = platform
            .create_export_job("r", &json!({}), &fence, Permit::free())
            .await
            .unwrap_err();
        assert_eq!(
            (error.consequence(), error.outcome()),
            (Consequence::NotSent, "fenced")
        );
    }
    assert_eq!(stub.calls().len(), 0);
}

/// The request is under way and its connection stands when the fence closes. On this runtime of
/// one thread, no connection is made between the first poll and the next await.
#[tokio::test]
async fn a_fence_that_closes_while_the_connection_is_made_lets_not_even_the_headers_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::new(raw(&listener, "http"), PlatformClock::system()).unwrap();
    let lost = CancellationToken::new();
    let fence = open(&platform).closed_by(lost.clone());
    let body = json!({"destination": {"datasetId": "d"}});
    let mut submission = Box::pin(platform.create_export_job("r", &body, &fence, Permit::free()));
    assert!(futures::poll!(&mut submission).is_pending());
    lost.cancel();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        // A reset instead of an end is as good.
        let _ = socket.read_to_end(&mut received).await;
        received
    });
    let error = submission.await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::NotSent, "fenced")
    );
    assert_eq!(server.await.unwrap(), b"");
}

/// The counterpart, which shows that the test above would see a request.
#[tokio::test]
async fn a_fence_that_stays_open_lets_the_whole_request_leave_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::new(raw(&listener, "http"), PlatformClock::system()).unwrap();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = socket.read(&mut buffer).await.unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    });
    submit(&platform).await.unwrap_err();
    let request = server.await.unwrap();
    assert!(
        request.starts_with("POST /data/core/ups/export/jobs HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.ends_with("\r\n\r\n{\"destination\":{\"datasetId\":\"d\"}}"),
        "{request}"
    );
}

/// A caller that goes away while the connection is made takes the request with it.
#[tokio::test]
async fn a_submission_that_is_dropped_before_it_left_never_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::new(raw(&listener, "http"), PlatformClock::system()).unwrap();
    let mut submission = Box::pin(submit(&platform));
    assert!(futures::poll!(&mut submission).is_pending());
    drop(submission);
    drop(platform);
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    let _ = socket.read_to_end(&mut received).await;
    assert_eq!(received, b"");
}

#[tokio::test]
async fn a_fence_closes_by_the_platforms_clock_and_does_not_open_again() {
    let hands = Hands::new();
    let clock = hands.clock();
    let until = clock::later(clock.now(), Duration::from_secs(10));
    let fence = Fence::until(until, Arc::clone(&clock));
    hands.turn(Duration::from_secs(9));
    assert!(fence.is_open());
    hands.turn(Duration::from_secs(1));
    assert!(!fence.is_open());
    clock.observe(start(), clock::Origin::Platform);
    assert!(clock.now() < until, "the platform's clock stepped back");
    assert!(!fence.is_open());
    // And a platform that is ahead closes it early.
    let fence = Fence::until(
        clock::later(clock.now(), Duration::from_secs(10)),
        Arc::clone(&clock),
    );
    assert!(fence.is_open());
    clock.observe(
        clock::later(clock.now(), Duration::from_secs(11)),
        clock::Origin::Platform,
    );
    assert!(!fence.is_open());
}

#[test]
fn a_fence_asks_its_condition_each_time() {
    let hands = Hands::new();
    let clock = hands.clock();
    let until = clock::later(clock.now(), Duration::from_mins(1));
    let held = Arc::new(Mutex::new(true));
    let asked = Arc::clone(&held);
    let fence = Fence::until(until, clock).only_while(Arc::new(move || *asked.lock().unwrap()));
    assert!(fence.is_open());
    *held.lock().unwrap() = false;
    assert!(!fence.is_open());
}

#[tokio::test]
async fn no_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = raw(&listener, "http");
    drop(listener);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = submit(&platform).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::NotSent, "connect_failed")
    );
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::Retry, "connect_failed")
    );
}

#[tokio::test]
async fn a_handshake_that_outlasts_the_whole_call_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = raw(&listener, "https");
    settings.timeouts.creation = Duration::from_millis(100);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = submit(&platform).await.unwrap_err();
    assert_eq!(
        error.consequence(),
        Consequence::NotSent,
        "a time-out, but nothing was taken"
    );
    assert_eq!(error.outcome(), "timed_out");
}

#[tokio::test]
async fn a_lost_reply_is_in_doubt_and_nothing_is_sent_again() {
    let stub = Stub::start(|_, _| Canned::silent()).await;
    let mut settings = stub.settings();
    settings.timeouts.creation = Duration::from_millis(500);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    platform.authenticate().await.unwrap();
    let error = submit(&platform).await.unwrap_err();
    assert_eq!(
        (error.consequence(), error.outcome()),
        (Consequence::InDoubt, "timed_out")
    );
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_in_doubt_and_used_by_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::new(raw(&listener, "http"), PlatformClock::system()).unwrap();
    let server = tokio::spawn(async move {
        let mut connections = 0;
        let mut requests = Vec::new();
        while connections < 2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            connections += 1;
            let mut buffer = vec![0; 4096];
            let read = socket.read(&mut buffer).await.unwrap();
            requests.push(String::from_utf8(buffer[..read].to_vec()).unwrap());
        }
        requests
    });
    for _ in 0..2 {
        let error = submit(&platform).await.unwrap_err();
        assert_eq!(
            (error.consequence(), error.outcome()),
            (Consequence::InDoubt, "broken")
        );
    }
    let requests = server.await.unwrap();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(
            request.starts_with("POST /data/core/ups/export/jobs HTTP/1.1\r\n"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn every_submission_has_a_connection_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::new(raw(&listener, "http"), PlatformClock::system()).unwrap();
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        for _ in 0..3 {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let _ = socket.read(&mut buffer).await.unwrap();
            let body = r#"{"id": 1, "status": "NEW"}"#;
            let reply = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(reply.as_bytes()).await.unwrap();
            open.push(socket);
        }
        open.len()
    });
    for _ in 0..3 {
        submit(&platform).await.unwrap();
    }
    assert_eq!(server.await.unwrap(), 3);
}

#[test]
fn who_comes_first_at_the_gate_decides() {
    let gate = fence::Gate::default();
    assert_eq!(gate.settle(), fence::Passage::Kept);
    let clock = PlatformClock::system();
    let open = Fence::until(clock::later(clock.now(), Duration::from_mins(1)), clock);
    let mut body = fence::FencedBody::new(b"{}".to_vec(), open, gate.clone());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let frame = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut context);
    assert!(
        matches!(frame, std::task::Poll::Ready(Some(Err(_)))),
        "given up, so not taken"
    );
    assert_eq!(gate.settle(), fence::Passage::Kept);
}
