//! What a run's page and a poll read of a journal is bounded in bytes, however large its frames are.

use crate::support::{Server, World};

/// How many reports the run prints.
const REPORTS: usize = 60;
/// How long the text of each is. A report may be 4 MiB with all that is around the text.
const REPORT_BYTES: usize = (4 << 20) - 200;
/// The most that a page may be: its own markup, and the bound of its frames twice (as data and as rows).
const MAX_PAGE_BYTES: usize = 1 << 20;

/// A pipeline that prints large reports, then `last`.
fn print_reports(world: &World, last: &str) {
    let report = format!(
        "text=$(head -c {REPORT_BYTES} /dev/zero | tr '\\0' x); i=0
         while [ $i -lt {REPORTS} ]; do
           printf '::frame {{\"kind\":\"token\",\"text\":\"%s\"}}\\n' \"$text\"
           i=$((i + 1))
         done
         {last}"
    );
    world.pipeline("reports", &[&report]);
}

/// The server's resident memory now, in bytes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Resets the peak of the server's resident memory to its current value.
fn reset_peak(server: &Server) {
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
}

/// The server's largest resident memory since [`reset_peak`], in bytes.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn first_view_and_polls_bound_large_reports() {
    let world = World::new();
    print_reports(&world, "echo the last line");
    let server = world.serve();
    let id = server.start(&world, "reports").await;
    let run = server.until_status(&id, "completed").await;
    let head = run["head"].as_u64().unwrap();
    assert!(head > REPORTS as u64);

    reset_peak(&server);
    let before = resident(&server);
    let page = server.get(&format!("/runs/{id}")).await.text().await.unwrap();
    assert!(page.len() < MAX_PAGE_BYTES, "the page is {} bytes", page.len());
    assert!(page.contains("the last line"), "what is small and newer than the reports is there");
    assert!(page.contains(&format!(r#"data-last="{head}""#)), "the page's cursor is the head");

    // Anywhere in the journal, with any limit: as the page loads it.
    for after in [0, head / 2, head - 3] {
        let page = server.get(&format!("/api/v1/runs/{id}/frames?after={after}&limit=5000")).await;
        let bytes = page.bytes().await.unwrap();
        assert!(bytes.len() < 6 << 20, "{} bytes after {after}", bytes.len());
        let page = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        assert_eq!(page["frames"][0]["seq"], after + 1, "there is always at least one");
        assert_eq!(page["head"], head);
    }
    // A page, its JSON and its HTML: a few reports at most, and not all sixty.
    let grown = peak(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "the server grew by {} MiB", grown >> 20);
}

#[tokio::test]
async fn first_view_starts_at_the_head_after_a_large_frame() {
    let world = World::new();
    print_reports(&world, "sleep 1000");
    let server = world.serve();
    let id = server.start(&world, "reports").await;
    let last = REPORTS as u64 + 2;
    crate::support::until("all reports are there", async || {
        (server.run(&id).await["head"].as_u64() == Some(last)).then_some(())
    })
    .await;
    let page = server.get(&format!("/runs/{id}")).await.text().await.unwrap();
    assert!(page.len() < MAX_PAGE_BYTES, "the page is {} bytes", page.len());
    assert!(page.contains(&format!(r#"data-last="{last}""#)), "the cursor is the head, with no frame held");
    assert!(page.contains(r#"data-gaps="0""#));
}

#[tokio::test]
async fn first_view_of_a_frame_has_its_neighbors() {
    let world = World::new();
    world.pipeline("lines", &["i=1; while [ $i -le 3000 ]; do echo \"line $i\"; i=$((i + 1)); done"]);
    let server = world.serve();
    let id = server.start(&world, "lines").await;
    server.until_status(&id, "completed").await;
    let page = server.get(&format!("/runs/{id}?at=1000")).await.text().await.unwrap();
    assert!(page.contains(r#"data-frame-id="1000""#) && !page.contains(r#"data-frame-id="3000""#));
    let newest = server.get(&format!("/runs/{id}")).await.text().await.unwrap();
    assert!(newest.contains(r#"data-frame-id="3000""#) && !newest.contains(r#"data-frame-id="1000""#));
    // No place of this journal: the newest.
    for odd in ["0", "99999999", "x", "12:5", "-1", ""] {
        let page = server.get(&format!("/runs/{id}?at={odd}")).await.text().await.unwrap();
        assert!(page.contains(r#"data-frame-id="3000""#), "at={odd}");
    }
}
