//! A log line is what a terminal would show: cases from issues of other tools, each with its own command.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{LIMIT, Server, World, until, until_within};

/// A run of this command, to its end.
async fn ended(command: &str) -> (World, Server, String) {
    let world = World::new();
    world.pipeline("term", &[command]);
    let server = world.serve();
    let id = server.start(&world, "term").await;
    finished(&server, &id).await;
    (world, server, id)
}

pub async fn finished(server: &Server, id: &str) -> Value {
    until_within(LIMIT, "the run ends", async || {
        let run = server.run(id).await;
        (run["status"] != "pending" && run["status"] != "running").then_some(run)
    })
    .await
}

/// The log as text, a line an entry.
pub async fn log(server: &Server, id: &str) -> Vec<String> {
    let text = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The data of all log frames, with their seqs.
pub async fn frames(server: &Server, id: &str) -> Vec<(u64, Value)> {
    let frames = server.frames(id).await.into_iter().filter(|frame| frame["kind"] == "log");
    frames.map(|frame| (frame["seq"].as_u64().unwrap(), frame["data"].clone())).collect()
}

/// The rows that a reader of the journal shows: each once, in the place of its first frame, in its last state.
pub fn rows(frames: &[(u64, Value)]) -> Vec<String> {
    let mut rows = BTreeMap::new();
    for (seq, log) in frames {
        let row = log["replaces"].as_u64().unwrap_or(*seq);
        assert!(row == *seq || rows.contains_key(&row), "frame {seq} replaces {row}, which is no row");
        rows.insert(row, log["line"].as_str().unwrap().to_owned());
    }
    rows.into_values().collect()
}

#[tokio::test]
async fn terminal_progress_bar_is_one_line() {
    let (_world, server, id) = ended(
        r#"i=0; while [ $i -le 100 ]; do printf '\r%3d%% [%s]' $i "$(printf '%*s' $((i/5)) '' | tr ' ' '=')" >&2; sleep 0.25; i=$((i+1)); done; echo >&2"#,
    )
    .await;
    let done = format!("100% [{}]", "=".repeat(20));
    assert_eq!(log(&server, &id).await, [done.as_str()]);
    let frames = frames(&server, &id).await;
    assert_eq!(rows(&frames), [done]);
    // A machine that pauses makes them fewer, never more.
    assert!((2..=40).contains(&frames.len()), "{} frames", frames.len());
    // Another attempt with other moments in between is the same log.
    server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    until_within(LIMIT, "the second attempt ends", async || {
        let run = server.run(&id).await;
        (run["attempt"] == 2 && run["status"] == "completed").then_some(())
    })
    .await;
    let compared = server.get_json(&format!("/api/v1/runs/{id}/compare?a=1&b=2")).await;
    assert_eq!(compared["phases"][0]["log"]["result"], "same", "{compared}");
    assert_eq!(compared["phases"][0]["log"]["lines"], 1, "{compared}");
}

#[tokio::test]
async fn terminal_redraw_is_shown_while_waiting() {
    let world = World::new();
    world.pipeline(
        "bar",
        &["printf '10%%'; while [ ! -e a ]; do sleep 0.02; done; printf '\\r20%%'; while [ ! -e b ]; do sleep 0.02; done; printf '\\r30%%\\nend\\n'"],
    );
    let server = world.serve();
    let id = server.start(&world, "bar").await;
    server.until_line(&id, "10%").await;
    std::fs::write(world.file("a"), "").unwrap();
    server.until_line(&id, "20%").await;
    assert_eq!(log(&server, &id).await, ["20%"]);
    std::fs::write(world.file("b"), "").unwrap();
    finished(&server, &id).await;
    assert_eq!(log(&server, &id).await, ["30%", "end"]);
    assert_eq!(rows(&frames(&server, &id).await), ["30%", "end"]);
}

#[tokio::test]
async fn terminal_last_redraw_survives_a_cancel() {
    let world = World::new();
    world.pipeline(
        "bar",
        &["i=0; while :; do printf '\\r%d' $i; i=$((i+1)); [ $i = 500 ] && { printf '\\rlast'; touch there; sleep 1000; }; done"],
    );
    let server = world.serve();
    let id = server.start(&world, "bar").await;
    until("the command has printed", async || world.file("there").exists().then_some(())).await;
    server.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await;
    finished(&server, &id).await;
    assert_eq!(log(&server, &id).await, ["last"]);
}

#[tokio::test]
async fn terminal_colors_carry_over_lines() {
    let (_world, server, id) = ended(r"printf '\033[31mfirst\nsecond\nthird\033[0m\nfourth\n' ").await;
    let red = |text: &str| format!("\u{1b}[31m{text}\u{1b}[0m");
    assert_eq!(server.lines(&id).await, [red("first"), red("second"), red("third"), "fourth".to_owned()]);
}

#[tokio::test]
async fn terminal_sequence_is_not_cut_by_the_size_limit() {
    let (_world, server, id) = ended(r"printf '%65530s' ''; printf '\033[38;5;208mORANGE\033[0m\n' ").await;
    let lines = server.lines(&id).await;
    let orange = lines.last().unwrap().trim_start();
    assert_eq!(orange, "\u{1b}[38;5;208mORANGE\u{1b}[0m");
    assert!(lines.iter().all(|line| line.len() <= 65536));
    assert_eq!(log(&server, &id).await, [format!("{}{orange}", " ".repeat(65530))]);
}

#[tokio::test]
async fn terminal_sequence_is_not_cut_by_a_pause() {
    let world = World::new();
    world.pipeline(
        "cut",
        &[r"printf 'a\033[3'; while [ ! -e go ]; do sleep 0.02; done; printf '1mred\033[0m\342'; sleep 0.4; printf '\202\254\n'"],
    );
    let server = world.serve();
    let id = server.start(&world, "cut").await;
    server.until_line(&id, "a").await;
    std::fs::write(world.file("go"), "").unwrap();
    finished(&server, &id).await;
    // A piece that follows a pause begins with the style of its place, which may end at once.
    let lines = log(&server, &id).await;
    let lines: Vec<_> = lines.iter().map(|line| line.replace("\u{1b}[31m\u{1b}[0m", "")).collect();
    assert_eq!(lines, ["a\u{1b}[31mred\u{1b}[0m€"]);
}

#[tokio::test]
async fn terminal_redrawn_block_stays_one_block() {
    let (_world, server, id) = ended(
        r"i=0; while [ $i -lt 200 ]; do printf 'layer a %d\nlayer b %d\n\033[2A\033[2K' $i $i; sleep 0.02; i=$((i+1)); done; printf '\033[2B\ndone\n' ",
    )
    .await;
    let lines = log(&server, &id).await;
    assert_eq!(lines, ["", "layer b 199", "", "done"]);
    let frames = frames(&server, &id).await;
    assert_eq!(rows(&frames), lines);
    assert!(frames.len() < 60, "{} frames", frames.len());
}

#[tokio::test]
async fn terminal_links_are_kept_and_titles_dropped() {
    let (_world, server, id) = ended(
        r"printf '\033]8;;https://ci.example/r/12\033\\PR 12\033]8;;\033\\ ok\n\033]0;window title\007after\n\033]8;;https://ci.example\033\\never closed\n' ",
    )
    .await;
    let link = |address: &str, text: &str| format!("\u{1b}]8;;{address}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\");
    let expected = [
        link("https://ci.example/r/12", "PR 12") + " ok",
        "after".to_owned(),
        link("https://ci.example", "never closed"),
    ];
    assert_eq!(server.lines(&id).await, expected);
}

#[tokio::test]
async fn terminal_control_characters_are_kept() {
    let (_world, server, id) = ended(
        r#"printf 'a\0b\001c\177d\302\205e\377f\n'; echo '::frame {"kind":"error","code":"x","message":"bad \u0000 byte \ud83d"}'; echo after; exit 3"#,
    )
    .await;
    let lines = server.lines(&id).await;
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("a\0b\u{1}c\u{7f}d\u{85}e\u{fffd}f", "after"));
    assert!(lines[1].starts_with("::frame "));
    let page = server.get(&format!("/runs/{id}")).await.text().await.unwrap();
    for mark in ["U+0000, NUL", "U+0001, control character", "U+007F, delete", "U+0085, next line"] {
        assert!(page.contains(mark), "the page has no mark {mark}");
    }
}

/// Every place where a page shows text of commands or callers.
#[tokio::test]
async fn terminal_directional_characters_are_marked() {
    const ODD: &str = "x\u{202e}y\u{2066}z";
    let world = World::new();
    let kinds = [
        json!({"kind": "finding", "path": ODD, "rule": ODD, "severity": ODD, "message": format!("`{ODD}` {ODD}"), "line": 1}),
        json!({"kind": "patch", "path": format!("{ODD}/{ODD}"), "diff": format!("--- a/x\n+++ b/x\n@@ -1 +1 @@ {ODD}\n-a{ODD}\n+b{ODD}{ODD}\n"), "added": 1, "removed": 1}),
        json!({"kind": "patch", "path": "no diff", "diff": ODD, "added": 1, "removed": 1}),
        json!({"kind": "tool", "call": ODD, "name": ODD, "preview": ODD}),
        json!({"kind": "tool_result", "call": ODD, "ok": true, "preview": ODD}),
        json!({"kind": "token", "text": ODD}),
        json!({"kind": "reasoning", "text": ODD}),
        json!({"kind": "progress", "done": 1, "total": 2, "unit": ODD}),
        json!({"kind": "outcome", "message": ODD, "files": 1, "findings": 1, "fixed": 0, "left": 1}),
        json!({"kind": "error", "code": ODD, "message": ODD}),
    ];
    let reports = kinds.iter().map(|kind| format!("::frame {kind}\n")).collect::<String>();
    world.toml(
        "odd",
        &format!(
            "name = \"odd\"\n[[params]]\nname = \"word\"\ntype = \"string\"\n[[phases]]\nname = \"a\"\nrun = \'\'\'\ncat <<\'END\'\n{reports}::output a={ODD}\nEND\nprintf '\\033[31m%s\\033[0m %s\\n' '{ODD}' '{ODD}'\nexit 3\n\'\'\'\n"
        ),
    );
    let server = world.serve();
    let asked = json!({"pipeline": "odd", "params": {"word": ODD}});
    let response = server.post("/api/v1/runs", asked).await.json::<Value>().await.unwrap();
    let id = response["id"].as_str().unwrap().to_owned();
    assert_eq!(finished(&server, &id).await["status"], "failed");
    assert_eq!(server.frames(&id).await.iter().filter(|frame| frame["kind"] == "patch").count(), 2);
    assert_eq!(server.lines(&id).await, [format!("\u{1b}[31m{ODD}\u{1b}[0m {ODD}")]);
    for page in
        ["/".to_owned(), format!("/runs/{id}"), format!("/runs/{id}?tab=findings"), format!("/runs/{id}?tab=changes")]
    {
        let html = server.get(&page).await.text().await.unwrap();
        assert!(html.contains("U+202E, right-to-left override"), "{page} has no mark");
        assert_eq!(hidden_in(&html), None, "{page} shows a character that nobody can see, after this");
    }
    let changes = server.get(&format!("/runs/{id}?tab=changes")).await.text().await.unwrap();
    assert_eq!(changes.matches("data-testid=\"direction-warning\"").count(), 2);
}

/// Text of a page that people would read without seeing these characters. Not the data for the page's script, and not
/// attributes that are not read.
fn hidden_in(html: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, script)) = rest.split_once("<script") {
        text.push_str(before);
        rest = script.split_once("</script>").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let is_read = |at: usize| {
        let before = &text[..at];
        if before.rfind('<') < before.rfind('>') {
            return true;
        }
        let name = before.rsplit_once("=\"").map_or("", |(before, _)| before.rsplit(' ').next().unwrap());
        !name.starts_with("data-") && name != "value"
    };
    let hidden = text.match_indices(['\u{202e}', '\u{2066}']).map(|(at, _)| at).find(|&at| is_read(at))?;
    Some(text[..hidden].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect())
}

#[tokio::test]
async fn terminal_carriage_returns_draw_one_row() {
    let (_world, server, id) = ended(r"printf 'one\rtwo\rthree\r'; sleep 1; printf 'x\ty\n'; printf 'no end' ").await;
    assert_eq!(log(&server, &id).await, ["xhree   y", "no end"]);
    let (_world, server, id) = ended(r"printf 'a\tb\n'").await;
    assert_eq!(log(&server, &id).await, ["a\tb"]);
}

#[tokio::test]
async fn terminal_redraws_do_not_delay_output() {
    // A bar on standard error, and a flood on standard output.
    let (_world, server, id) = ended(
        "i=0; while [ $i -lt 300 ]; do printf '\\r%d' $i >&2; i=$((i+1)); done & seq 1 100000; wait; printf '\\rdone\\n' >&2",
    )
    .await;
    let lines = log(&server, &id).await;
    assert_eq!(lines.len(), 100_001);
    assert_eq!(lines.iter().filter(|line| line.as_str() == "done").count(), 1);
    let frames = frames(&server, &id).await.len();
    assert!(frames < 100_030, "{frames} frames");
    tokio::time::timeout(Duration::from_secs(60), server.get(&format!("/runs/{id}"))).await.unwrap();
}

#[tokio::test]
async fn terminal_redraws_are_part_of_frame_pages() {
    let world = World::new();
    world.phase("bar", "printf '10%%'; until [ -e go ]; do sleep 0.05; done; printf '\\r20%%\\n'; echo next", "");
    let server = world.serve();
    let id = server.start(&world, "bar").await;
    server.until_line(&id, "10%").await;
    std::fs::write(world.project().join("go"), "").unwrap();
    server.until_status(&id, "completed").await;
    let frames = server.frames(&id).await;
    let of = |line: &str| frames.iter().find(|frame| frame["data"]["line"] == line).unwrap();
    let (row, redraw) = (of("10%"), of("20%"));
    assert_eq!(redraw["data"]["replaces"], row["seq"]);
    let path = format!("/api/v1/runs/{id}/frames?after={}&limit=1", row["seq"].as_u64().unwrap() - 1);
    let page = server.get_json(&path).await;
    assert_eq!((&page["frames"][0], &page["redraws"][0]), (row, redraw), "{page}");
    let whole = server.get_json(&format!("/api/v1/runs/{id}/frames?after=0")).await;
    assert_eq!(whole.get("redraws"), None, "they are among the frames: {whole}");
}
