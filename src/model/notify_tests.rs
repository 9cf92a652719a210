//! Subscriptions, redaction of URLs, messages and retries of notifications.

use proptest::prelude::*;

use super::*;
use crate::model::param::Params;
use crate::model::run::{ApprovalRequest, Pin};
use crate::model::time::Timestamp;

fn receiver(to: ReceiverAddress, on: &[NotifyEvent]) -> NotifyTarget {
    NotifyTarget { to, secret: Some(SecretLocation::Env("SECRET".into())), on: on.to_vec() }
}

fn run(status: Status) -> Run {
    Run {
        id: "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap(),
        pipeline: "nightly".into(),
        status,
        phase: None,
        attempt: 1,
        params: Params::new(),
        priority: 0,
        created_at: Timestamp(0),
        queued_at: Timestamp(0),
        started_at: Some(Timestamp(1_000)),
        finished_at: Some(Timestamp(63_500)),
        head: 9,
        phases: Vec::new(),
        error: None,
        approval: None,
        cancel: None,
        origin: None,
        waiting_for: None,
        pin: Pin::default(),
    }
}

#[test]
fn target_subscribes_to_ends_by_default() {
    let all = receiver(ReceiverAddress::Url("http://a/".into()), &[]);
    let some = receiver(ReceiverAddress::Url("http://a/".into()), &[NotifyEvent::Failed, NotifyEvent::Waiting]);
    let subscribed = |notify: &NotifyTarget| NotifyEvent::ALL.map(|occasion| notify.subscribes_to(occasion));
    assert_eq!(subscribed(&all), [true, true, true, true, false]);
    assert_eq!(subscribed(&some), [false, true, false, false, true]);
    for status in Status::ALL {
        assert!(
            status.final_status().is_none_or(|end| NotifyEvent::from_final_status(end).as_str() == status.as_str())
        );
    }
}

#[test]
fn target_display_has_no_secrets() {
    for (url, shown, host_only) in [
        ("https://chat.example/hook", "https://chat.example/…", "https://chat.example/…"),
        ("https://me:pw@chat.example:8443/a/b?token=s#x", "https://chat.example:8443/…", "https://chat.example:8443/…"),
        ("http://chat.example?key=a/b", "http://chat.example/…", "http://chat.example/…"),
        ("http://chat.example", "http://chat.example", "http://chat.example/…"),
        ("http://chat.example/", "http://chat.example", "http://chat.example/…"),
        ("http://[::1]:80/x", "http://[::1]:80/…", "http://[::1]:80/…"),
        ("http://a@b@c/@d", "http://c/…", "http://c/…"),
    ] {
        let plain = receiver(ReceiverAddress::Url(url.into()), &[]);
        assert_eq!(
            (plain.display_name(None), plain.display_name(Some(url))),
            (shown.to_owned(), shown.to_owned()),
            "{url}"
        );
        assert_eq!(plain.redacted().to, ReceiverAddress::Url(shown.into()), "{url}");
        let secret = receiver(ReceiverAddress::UrlEnv("HOOK".into()), &[]);
        assert_eq!(
            (secret.display_name(None), secret.display_name(Some(url))),
            ("$HOOK".to_owned(), host_only.to_owned()),
            "{url}"
        );
    }
    let variables = |to| receiver(to, &[]).variables().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(variables(ReceiverAddress::Url("http://a/".into())), ["SECRET"]);
    assert_eq!(variables(ReceiverAddress::UrlEnv("HOOK".into())), ["HOOK", "SECRET"]);
}

#[test]
fn address_must_be_http() {
    for good in ["http://a", "https://a:1/b?c", "https://u:p@a/", "http://[::1]:3000/x"] {
        assert_eq!(check_address(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "a",
        "ftp://a/",
        "https:/a",
        "https://",
        "https:///a",
        "https://:80/",
        "http://u@/x",
        "http://a b",
        "HTTP:a",
    ] {
        assert!(check_address(bad).is_err(), "{bad}");
    }
}

#[test]
fn target_roundtrips() {
    let notify = receiver(ReceiverAddress::UrlEnv("HOOK".into()), &[NotifyEvent::Waiting]);
    let text = serde_json::to_string(&notify).unwrap();
    assert_eq!(text, r#"{"url_env":"HOOK","secret_env":"SECRET","on":["waiting"]}"#);
    assert_eq!(serde_json::from_str::<NotifyTarget>(&text).unwrap(), notify);
    for secret in [None, Some(SecretLocation::File("/a".into())), Some(SecretLocation::Credential("b".into()))] {
        let notify = NotifyTarget { secret, to: ReceiverAddress::UrlCredential("c".into()), on: Vec::new() };
        let text = serde_json::to_string(&notify).unwrap();
        assert_eq!(serde_json::from_str::<NotifyTarget>(&text).unwrap(), notify, "{text}");
    }
}

#[test]
fn delivery_outcome_follows_the_status() {
    use DeliveryOutcome::{Delivered, GiveUp, Retry};
    for (status, verdict) in [
        (Some(200), Delivered),
        (Some(204), Delivered),
        (Some(301), GiveUp),
        (Some(307), GiveUp),
        (Some(400), GiveUp),
        (Some(404), GiveUp),
        (Some(408), Retry),
        (Some(410), GiveUp),
        (Some(425), Retry),
        (Some(429), Retry),
        (Some(500), Retry),
        (Some(503), Retry),
        (None, Retry),
    ] {
        assert_eq!(DeliveryOutcome::from_http_status(status), verdict, "{status:?}");
    }
}

#[test]
fn retry_delay_grows_and_ends() {
    let middle: Vec<_> = (1..=MAX_DELIVERY_ATTEMPTS).map(|tries| retry_delay_ms(tries, 0.5, 0)).collect();
    let seconds = [2, 10, 60, 300, 1200, 3600, 7200].map(|seconds| Some(seconds * 1000));
    assert_eq!((&middle[..7], middle[7]), (&seconds[..], None));
    assert_eq!((retry_delay_ms(1, 0.0, 0), retry_delay_ms(1, 1.0, 0)), (Some(1_600), Some(2_400)));
    assert_eq!(retry_delay_ms(1, f64::NAN, 0), Some(2_000));
    assert_eq!(retry_delay_ms(1, 0.5, 45_000), Some(45_000), "the receiver knows better");
    assert_eq!(retry_delay_ms(0, 0.5, 0), None);
}

#[test]
fn summary_describes_the_run() {
    assert_eq!(summary("Nightly", &run(Status::Completed), None), "Nightly completed after 1 min 2 s");
    let failed = Run { error: Some("phase test\nfailed".into()), attempt: 3, ..run(Status::Failed) };
    assert_eq!(
        summary("Nightly", &failed, Some("https://ci.example/runs/x?a&b")),
        "Nightly failed after 1 min 2 s: phase test failed (attempt 3) https://ci.example/runs/x?a&b"
    );
    let question = ApprovalRequest { seq: 3, question: "Deploy <!channel> & @here?".into() };
    let asks = Run { approval: Some(question), finished_at: None, ..run(Status::Running) };
    assert_eq!(summary("Nightly", &asks, None), "Nightly needs approval: Deploy &lt;!channel&gt; &amp; @\u{200b}here?");
    let long = Run { error: Some("é".repeat(5000)), started_at: None, ..run(Status::Failed) };
    assert_eq!(summary("N", &long, None), format!("N failed: {}…", "é".repeat(MAX_REASON_CHARS)));
}

proptest! {
    #[test]
    fn retry_delay_stays_within_the_jitter(tries in 0u32..20, random in any::<f64>(), retry_after_ms in 0u64..10_000_000) {
        match retry_delay_ms(tries, random, retry_after_ms) {
            Some(wait) => {
                let usual = RETRY_DELAYS_MS[tries as usize - 1];
                prop_assert!(wait >= retry_after_ms && wait >= usual * 4 / 5 && wait <= (usual * 6 / 5).max(retry_after_ms));
            }
            None => prop_assert!(tries == 0 || tries >= MAX_DELIVERY_ATTEMPTS),
        }
    }

    /// Nothing of user, password, path and query is shown.
    #[test]
    fn redacted_url_has_no_secrets(at in "[/?#]", secret in "[A-Z]{4,8}", tail in "[a-z/@:?#]{0,9}") {
        let url = format!("https://{secret}:{secret}@chat.example/{secret}{at}{secret}{tail}");
        prop_assert_eq!(redact_url(&url), "https://chat.example/…");
        let bare = format!("https://chat.example{at}{secret}{tail}");
        prop_assert!(!redact_url(&bare).contains(&secret), "{}", redact_url(&bare));
    }
}
