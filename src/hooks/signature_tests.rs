use proptest::prelude::*;

use super::*;

/// The example of GitHub's documentation, "Testing the webhook payload validation".
const GITHUB: (&str, &str, &str) = (
    "It's a Secret to Everybody",
    "Hello, World!",
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
);

/// The example that the libraries of Standard Webhooks are tested with.
const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const STANDARD_BODY: &str = r#"{"test": 2432232314}"#;
const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const STANDARD_TIME: i64 = 1_614_265_330;

fn proves_at(headers: &[(&str, &str)], secret: &str, body: &str, now: i64) -> Option<bool> {
    let find = |name: &str| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
    let signature = Signature::of(&find)?;
    Some(signature.proves(&Secret::test(secret), body.as_bytes(), Timestamp(now * 1000)))
}

fn proves(headers: &[(&str, &str)], secret: &str, body: &str) -> Option<bool> {
    proves_at(headers, secret, body, STANDARD_TIME)
}

fn sign(secret: &str, body: &str) -> String {
    hex(&digest(secret.as_bytes(), &[body.as_bytes()]))
}

#[test]
fn signatures_match_documented_examples() {
    let (secret, body, signature) = GITHUB;
    assert_eq!(proves(&[("x-hub-signature-256", signature)], secret, body), Some(true));
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(sign("Jefe", "what do ya want for nothing?"), expected);
    let standard =
        [("webhook-id", STANDARD_ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", STANDARD_SIGNATURE)];
    assert_eq!(proves(&standard, STANDARD_SECRET, STANDARD_BODY), Some(true));
}

#[test]
fn each_signature_needs_its_header_secret_and_body() {
    let (secret, body) = ("s3cret", r#"{"ref":"refs/heads/main"}"#);
    let plain = sign(secret, body);
    let prefixed = format!("sha256={plain}");
    for (name, value) in [
        ("x-hub-signature-256", prefixed.as_str()),
        ("x-hub-signature", &prefixed),
        ("x-gitea-signature", &plain),
        ("x-forgejo-signature", &plain),
        ("x-gogs-signature", &plain),
    ] {
        assert_eq!(proves(&[(name, value)], secret, body), Some(true), "{name}");
        assert_eq!(proves(&[(name, &value.to_uppercase().replace("SHA256", "sha256"))], secret, body), Some(true));
        assert_eq!(
            proves(&[(name, value)], "s3cret ", body),
            Some(true),
            "surrounding white space is not part of the secret"
        );
        assert_eq!(proves(&[(name, value)], "other", body), Some(false), "{name}");
        assert_eq!(proves(&[(name, value)], secret, &format!("{body} ")), Some(false), "{name}");
        assert_eq!(proves(&[(name, &value[..value.len() - 1])], secret, body), Some(false), "{name}");
    }
    let token = |shown: &str| proves(&[("x-gitlab-token", shown)], secret, body);
    assert_eq!(token(secret), Some(true));
    for wrong in ["", "s3cre", "s3crett", "S3CRET"] {
        assert_eq!(token(wrong), Some(false), "{wrong}");
    }
    for none in [
        &[][..],
        // SHA-1, and a signature without its prefix.
        &[("x-hub-signature", "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")],
        &[("x-hub-signature-256", plain.as_str())],
        &[("authorization", "Bearer s3cret")],
    ] {
        assert_eq!(proves(none, secret, body), None, "{none:?}");
    }
}

#[test]
fn only_the_strongest_signature_counts() {
    let (secret, body) = ("s3cret", "{}");
    let right = sign(secret, body);
    let wrong = "0".repeat(64);
    let hub = format!("sha256={wrong}");
    let cases: &[&[(&str, &str)]] = &[
        &[("x-hub-signature-256", &hub), ("x-gitea-signature", &right)],
        &[("x-forgejo-signature", &wrong), ("x-gitea-signature", &right)],
        &[("x-hub-signature-256", &hub), ("x-gitlab-token", secret)],
        &[("webhook-signature", "v1,AAAA"), ("x-gitlab-token", secret), ("x-gitea-signature", &right)],
    ];
    for headers in cases {
        assert_eq!(proves(headers, secret, body), Some(false), "{headers:?}");
    }
}

#[test]
fn standard_signature_covers_time_and_id() {
    let two = format!("v1,{} v1a,abc {STANDARD_SIGNATURE}", "A".repeat(44));
    let ten = format!("{} {STANDARD_SIGNATURE}", ["v1,A"; MAX_SIGNATURES].join(" "));
    let timestamp = STANDARD_TIME.to_string();
    let now = STANDARD_TIME;
    for (id, timestamp, signatures, now, right) in [
        (STANDARD_ID, timestamp.as_str(), two.as_str(), now, true),
        (STANDARD_ID, &timestamp, STANDARD_SIGNATURE, now + 300, true),
        (STANDARD_ID, &timestamp, STANDARD_SIGNATURE, now - 300, true),
        (STANDARD_ID, &timestamp, STANDARD_SIGNATURE, now + 301, false),
        (STANDARD_ID, &timestamp, STANDARD_SIGNATURE, now - 301, false),
        ("msg_other", &timestamp, STANDARD_SIGNATURE, now, false),
        ("", &timestamp, STANDARD_SIGNATURE, now, false),
        (STANDARD_ID, "1614265331", STANDARD_SIGNATURE, now, false),
        (STANDARD_ID, "", STANDARD_SIGNATURE, now, false),
        (STANDARD_ID, "9223372036854775807", STANDARD_SIGNATURE, now, false),
        (STANDARD_ID, &timestamp, STANDARD_SIGNATURE.strip_prefix("v1,").unwrap(), now, false),
        (STANDARD_ID, &timestamp, &STANDARD_SIGNATURE.replace("v1,", "v2,"), now, false),
        (STANDARD_ID, &timestamp, "", now, false),
        (STANDARD_ID, &timestamp, &ten, now, false),
    ] {
        let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signatures)];
        let proves = |secret: &str| proves_at(&headers, secret, STANDARD_BODY, now);
        assert_eq!(proves(STANDARD_SECRET), Some(right), "{headers:?} at {now}");
        assert_eq!(proves("whsec_AAAA"), Some(false));
    }
}

proptest! {
    #[test]
    fn signature_depends_on_secret_and_body(
        secret in "[!-~]{1,80}",
        body in prop::collection::vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
    ) {
        let signature = hex(&digest(secret.as_bytes(), &[&body]));
        let proves = |secret: &str, body: &[u8]| Signature::Hex(&signature).proves(&Secret::test(secret), body, Timestamp(0));
        prop_assume!(!secret.starts_with("whsec_"));
        prop_assert!(proves(&secret, &body));
        let other = secret.clone() + "x";
        prop_assert!(!proves(&other, &body));
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= 1;
        prop_assert!(!proves(&secret, &changed));
    }

    #[test]
    fn arbitrary_signatures_prove_nothing(id in ".{0,20}", timestamp in "[0-9-]{0,20}", shown in ".{0,100}") {
        let secret = Secret::test("the secret");
        for signature in [
            Signature::Hex(&shown),
            Signature::Token(&shown),
            Signature::Standard { id: &id, timestamp: &timestamp, signatures: &shown },
        ] {
            let proved = signature.proves(&secret, b"{}", Timestamp(0));
            prop_assert!(!proved);
        }
    }
}
