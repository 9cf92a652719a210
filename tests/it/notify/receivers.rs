//! Which receivers get a notification, and where it may be sent.

use super::*;

#[tokio::test]
async fn notification_is_sent_for_the_chosen_events() {
    let world = World::new();
    let all = Receiver::with(&[Reply::Status(200)]).await;
    let some = Receiver::with(&[Reply::Status(200)]).await;
    let receivers =
        [receiver(&all.url("/all"), ""), receiver(&some.url("/some"), "on = [\"waiting\", \"cancelled\"]")].concat();
    pipeline(&world, "well", "true", &receivers);
    pipeline(&world, "asks", "true", &receivers);
    let asks = std::fs::read_to_string(world.file("../pipelines/asks.toml")).unwrap();
    world.toml("asks", &asks.replace("name = \"only\"", "name = \"only\"\napproval = true\nquestion = \"Sure?\""));
    pipeline(&world, "long", "sleep 1000", "");
    let server = world.serve_with(&["--workers", "1"]);

    let well = server.start(&world, "well").await;
    until_journaled(&server, &well, 1).await;
    assert_eq!((all.got().len(), some.got().len()), (1, 0));

    let asked = server.start(&world, "asks").await;
    server.until_asked(&asked).await;
    let told = some.until(1).await.remove(0).json();
    assert_eq!((&told["event"], &told["status"]), (&json!("run.waiting"), &json!("running")));
    assert_eq!(told["run"]["approval"]["question"], "Sure?");
    assert_eq!(told["text"], "The asks one waits for a person: Sure?");
    assert_eq!(until_journaled(&server, &asked, 1).await[0]["data"]["event"], "run.waiting");
    assert_eq!(all.got().len(), 1, "a question is told to who asked for it");
    // The question can still be decided, although frames follow it.
    let rejected = server.post(&format!("/api/v1/runs/{asked}/reject"), json!({})).await;
    assert_eq!(rejected.status(), StatusCode::ACCEPTED, "{}", rejected.text().await.unwrap());
    server.until_status(&asked, "cancelled").await;
    assert_eq!(until_journaled(&server, &asked, 3).await.len(), 3);
    assert_eq!((all.got().len(), some.got().len()), (2, 2));

    // A run that was never claimed.
    let busy = server.start(&world, "long").await;
    server.until_status(&busy, "running").await;
    let waits = server.start(&world, "well").await;
    server.post(&format!("/api/v1/runs/{waits}/cancel"), json!({})).await;
    server.until_status(&waits, "cancelled").await;
    assert_eq!(until_journaled(&server, &waits, 2).await.len(), 2);
    let told = some.got().last().unwrap().json();
    assert_eq!((&told["status"], &told["run"]["id"]), (&json!("cancelled"), &json!(waits)));
    assert!(notifications(&server, &busy).await.is_empty());
}

/// Receivers in denied networks get no request, whatever proxies the environment names; the journal gives the reason.
#[tokio::test]
async fn notification_is_sent_only_to_allowed_networks() {
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
        // A host name is checked when it is resolved.
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

/// The address and the secret of the receiver are in files.
#[tokio::test]
async fn notification_receiver_is_read_from_files() {
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
