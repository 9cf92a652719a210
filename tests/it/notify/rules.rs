//! Where notifications may go, and where their secrets come from.

use super::*;

/// Receivers in networks that are not allowed are never called, whatever the environment's proxy settings; the journal
/// says why.
#[tokio::test]
async fn notification_respects_egress_rules() {
    for (flags, proxied, error) in [
        (&["--allow-egress", "public"][..], false, "notifications may not go to 127.0.0.1"),
        (&["--deny-egress"], false, "notifications may not go to any address"),
        (&["--allow-egress", "10.0.0.0/8,127.0.0.0/8"], false, ""),
        (&[], false, ""),
        (&["--notify-proxy", "PROXY"], true, ""),
    ] {
        let world = World::new();
        let [direct, proxy] =
            [Receiver::with(&[Reply::Status(200)]).await, Receiver::with(&[Reply::Status(200)]).await];
        // A name is checked when it is resolved.
        let named = direct.url("/named").replace("127.0.0.1", "localhost");
        pipeline(&world, "p", "true", &[receiver(&direct.url("/hook"), ""), receiver(&named, "")].concat());
        let flags: Vec<_> = flags.iter().map(|flag| flag.replace("PROXY", &proxy.url(""))).collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let elsewhere = proxy.url("");
        let server = world.serve_logged(&[("HTTP_PROXY", &elsewhere), ("http_proxy", &elsewhere)], &flags);
        let id = server.start(&world, "p").await;
        server.until_status(&id, "completed").await;
        let frames = until_journaled(&server, &id, 2).await;
        for frame in &frames {
            let said = frame["data"]["error"].as_str().unwrap_or_default();
            let state = if error.is_empty() { "delivered" } else { "failed" };
            assert_eq!(frame["data"]["state"], state, "{flags:?}: {frame}");
            assert!(said.contains(error.trim_end_matches(" 127.0.0.1")), "{flags:?}: {frame}");
        }
        let expected = if !error.is_empty() {
            (0, 0)
        } else if proxied {
            (0, 2)
        } else {
            (2, 0)
        };
        assert_eq!((direct.got().len(), proxy.got().len()), expected, "{flags:?}");
        assert_eq!(world.log().contains("--notify-proxy names one"), !proxied);
    }
}

/// Address and secret of a receiver in files.
#[tokio::test]
async fn notification_receiver_comes_from_files() {
    let world = World::new();
    let receiver = Receiver::with(&[Reply::Status(200)]).await;
    let (address, secret) = (world.file("address"), world.file("secret"));
    std::fs::write(&address, format!("{}\n", receiver.url("/services/PATHX"))).unwrap();
    std::fs::write(&secret, "a key of the receiver's own\n").unwrap();
    let keys = format!("url_file = \"{}\"\nsecret_file = \"{}\"\n", address.display(), secret.display());
    pipeline(&world, "bad", "exit 3", &format!("[[notify]]\n{keys}"));
    let server = world.serve();
    let id = server.start(&world, "bad").await;
    let got = receiver.until(1).await.remove(0);
    let hub: String = mac(b"a key of the receiver's own", &got.body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got.header("x-hub-signature-256"), format!("sha256={hub}"));
    server.until_status(&id, "failed").await;
    let journal = until("the delivery is journaled", async || {
        let frames = server.frames(&id).await;
        frames.iter().any(|frame| frame["kind"] == "notification").then(|| Value::from(frames).to_string())
    })
    .await;
    assert!(!journal.contains("PATHX"), "{journal}");
}
