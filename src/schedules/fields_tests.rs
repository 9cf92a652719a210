use super::*;

fn text(expression: &str) -> (String, bool) {
    let CronExpression { text, both_days } = read(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    (text, both_days)
}

#[test]
fn expressions_are_normalized() {
    for (written, expected) in [
        ("30 2 * * 1-5", "30 2 * * 1-5"),
        ("  30  2 * *  mon-fri ", "30 2 * * 1-5"),
        ("0 0 1 jan,JUL *", "0 0 1 1,7 *"),
        ("*/10 * * * * *", "*/10 * * * * *"),
        ("0 9-17/2 * * *", "0 9-17/2 * * *"),
        ("0 3 * * 7", "0 3 * * 7"),
        ("0 3 * * SUN", "0 3 * * 0"),
        ("0 3 * * SAT-SUN", "0 3 * * 6-7"),
        ("0 3 * * SUN-TUE", "0 3 * * 0-2"),
        ("0 3 * * SUN-SUN", "0 3 * * 0-0"),
        ("0 3 * * 7L", "0 3 * * 7#L"),
        ("0 3 * * FRIL", "0 3 * * 5#L"),
        ("0 3 * * SUN#5", "0 3 * * 0#5"),
        ("0 3 15W * *", "0 3 15W * *"),
        ("0 3 L,LW * *", "0 3 L,LW * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
    ] {
        assert_eq!(text(written).0, expected, "{written}");
    }
}

#[test]
fn day_fields_are_combined_as_in_vixie_cron() {
    for (written, both) in [
        ("0 0 13 * 5", false),
        ("0 0 1-7 * 1", false),
        ("0 0 */2 * 3", true),
        ("0 0 1 * */2", true),
        ("0 0 * * 3", true),
        ("0 0 3 * *", true),
        ("0 0 L * 5", false),
        ("0 0 1 * 5#1", false),
        ("0 0 13 * +5", true),
        ("0 0 0 */3 * MON", true),
    ] {
        assert_eq!(text(written).1, both, "{written}");
    }
}

#[test]
fn errors_name_the_field_and_a_remedy() {
    for (written, expected) in [
        ("", &["empty", "five fields"][..]),
        (" \t", &["empty"]),
        ("* * * *", &["4 fields", "minute hour day month weekday"]),
        ("noon", &["one field"]),
        ("0 0 12 * * ? *", &["seven fields", "year", "\"0 0 12 * * *\""]),
        ("0 0 12 * * * 2027 x", &["8 fields"]),
        ("0 3 * * FRI-MON", &["weekday range `FRI-MON` runs backward", "`FRI-SUN,MON`"]),
        ("0 3 * * 5-2", &["`5-7,1-2`"]),
        ("0 3 * * SAT-SUN,6-0", &["`6-0` runs backward", "`6-7`"]),
        ("0 22-4 * * *", &["hour range `22-4`", "`22-23,0-4`"]),
        ("0 0 1 NOV-FEB *", &["month range `NOV-FEB`", "`NOV-DEC,JAN-FEB`"]),
        ("0 0 28-3 * *", &["day of month range", "`28-31,1-3`"]),
        ("50-10/5 * * * *", &["minute range `50-10`", "two ranges"]),
        ("@reboot", &["`@reboot` is no time", "@hourly"]),
        ("@every 5m", &["step", "*/5 * * * *"]),
        ("@fortnightly", &["`@fortnightly` is not known", "@daily"]),
        ("TZ=Europe/Berlin 0 3 * * *", &["`TZ=`", "`timezone = \"Europe/Berlin\"`"]),
        ("CRON_TZ=UTC 0 3 * * *", &["`timezone = \"UTC\"`"]),
        ("60 * * * *", &["minute 60 is out of range", "0 to 59"]),
        ("61 0 * * * *", &["second 61 is out of range"]),
        ("* 24 * * *", &["hour 24", "0 to 23"]),
        ("* * 0 * *", &["day of month 0", "1 to 31"]),
        ("* * 32W * *", &["day of month 32"]),
        ("* * * 13 *", &["month 13", "JAN to DEC"]),
        ("* * * * 8", &["weekday 8", "SUN to SAT"]),
        ("* * * * 1-9", &["weekday 9"]),
        ("* * * * 99999999999", &["out of range"]),
        ("x * * * *", &["minute field has `X`"]),
        ("* * * JANUARY *", &["month field has `JANUARY`"]),
        ("* MON * * *", &["hour field has `MON`"]),
        ("-1 * * * *", &["minute field has ``"]),
        ("*/0 * * * *", &["minute field has the step `/0`"]),
        ("*/x * * * *", &["step `/X`"]),
        ("*/99 * * * *", &["step `/99`", "1 to 59"]),
        ("5/10 * * * *", &["`5-59/10`"]),
        ("/10 * * * *", &["`*/10`"]),
        ("1,,2 * * * *", &["comma"]),
        ("1, * * * *", &["comma"]),
        ("*,5 * * * *", &["`*` alone"]),
        ("5-1-2 * * * *", &["minute field has `1-2`"]),
        ("0 0 ? * 5", &["day of month field has `?`", "`*`"]),
        ("0 0 1 * ?", &["weekday field has `?`"]),
        ("0 0 * * 5#6", &["`#6`", "`#5`"]),
        ("0 0 5L * *", &["day of month field has `5L`"]),
        ("0 L * * *", &["hour field has `L`"]),
    ] {
        let error = read(written).expect_err(written);
        for part in expected {
            assert!(error.contains(part), "{written}: {error}");
        }
        assert!(error.ends_with('.') && !error.contains('\n'), "{error}");
    }
}

#[test]
fn parser_takes_any_text() {
    use proptest::prelude::*;
    proptest!(|(text in "[-0-9A-Z*/,#@?+= a-zé]{0,40}")| {
        let _ = read(&text);
    });
}
