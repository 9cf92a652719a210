//! Programs that treat their output as a screen: bars below a region that scrolls, and the alternate screen.

use serde_json::Value;

use crate::support::{Server, World};
use crate::terminal::{finished, frames, log, rows};

/// A run of this command on a terminal, to its end.
async fn on_a_terminal(command: &str) -> (World, Server, String, Value) {
    let world = World::new();
    world.phase("screen", command, "output = \"tty\"");
    let server = world.serve();
    let id = server.start(&world, "screen").await;
    let run = finished(&server, &id).await;
    (world, server, id, run)
}

/// The log's lines without their colors.
fn plain(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.replace("\u{1b}[0m", "")).collect()
}

/// Output of apt with `Dpkg::Progress-Fancy`, recorded from `apt-get install` 2.6: a scrolling region without the last
/// row, where the bar is drawn again and again. The pauses are long enough for the bar to be journaled, if it were a
/// row.
const APT: &str = r##"
rows=$(stty size < /dev/tty | cut -d ' ' -f 1)
area() { printf '\n\0337\033[0;%dr\0338\033[1A' $(($1 - 1)); }
bar() { printf '\0337\033[%d;0f\033[42m\033[30mProgress: [%3d%%]\033[49m\033[39m [####......] \0338' $rows $1; }
i=0; while [ $i -lt $before ]; do echo "before $i"; i=$((i+1)); done
area $rows
printf '(Reading database ... \r(Reading database ... 50%%\r(Reading database ... 100%%\r(Reading database ... 7 files installed.)\r\n'
i=0; while [ $i -lt 60 ]; do
  bar $i; [ $((i % 20)) -ne 7 ] || sleep 0.4
  echo "Unpacking $i ..."; bar $i; [ $((i % 20)) -ne 9 ] || sleep 0.4
  i=$((i+1))
done
area $((rows + 1)); printf '\033[J'
echo after
"##;

#[tokio::test]
async fn full_screen_bar_below_a_region_leaves_no_rows() {
    for before in [3, 120] {
        let (_world, server, id, run) = on_a_terminal(&format!("before={before}\n{APT}")).await;
        assert_eq!(run["status"], "completed", "{run}");
        let mut expected: Vec<String> = (0..before).map(|number| format!("before {number}")).collect();
        expected.push("(Reading database ... 7 files installed.)".to_owned());
        expected.extend((0..60).map(|number| format!("Unpacking {number} ...")));
        expected.push("after".to_owned());
        assert_eq!(plain(&log(&server, &id).await), expected);
        let frames = frames(&server, &id).await;
        let text = rows(&frames).concat();
        assert!(!text.contains("Progress") && text.ends_with("after"), "{text}");
        let redraws = frames.iter().filter(|(_, log)| log["replaces"].is_u64()).count();
        assert!(redraws <= 3, "{redraws} redraws of {} frames", frames.len());
    }
}

/// The sequences that terminfo has for xterm-256color at the start and the end of a full-screen program.
const PAGER: &str = r#"
echo before; printf 'a prompt> '
printf '\033[?1049h\033[22;0;0t\033[1;50r\033[H\033[2J'
i=0; while [ $i -lt 80 ]; do echo "page $i"; i=$((i+1)); done; printf '\033[50;1H(END)'; sleep 0.5
printf '\033[2J\033[?1049l\033[23;0;0t'
"#;

#[tokio::test]
async fn full_screen_alternate_screen_leaves_no_rows() {
    let (_world, server, id, _) = on_a_terminal(&format!("{PAGER}\necho done\nprintf 'x\\n%.0s' $(seq 60)")).await;
    let mut expected = vec!["before".to_owned(), "a prompt> done".to_owned()];
    expected.extend(std::iter::repeat_n("x".to_owned(), 60));
    assert_eq!(log(&server, &id).await, expected);
    assert!(frames(&server, &id).await.iter().all(|(_, log)| !log["line"].as_str().unwrap().contains("page")));
}

#[tokio::test]
async fn full_screen_alternate_screen_of_a_killed_program_is_logged() {
    let (_world, server, id, run) =
        on_a_terminal(r"echo before; printf '\033[?1049h\033[2J\033[HError:\nno memory'; kill -9 $$").await;
    assert_eq!(run["status"], "failed");
    assert_eq!(log(&server, &id).await, ["before", "Error:", "no memory"]);
}
