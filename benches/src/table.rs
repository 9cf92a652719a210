//! Figures of several rounds, and their table.

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|value| !value.is_nan());
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The medians of each column of some rounds.
pub fn medians<const N: usize>(rounds: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|column| median(rounds.iter().map(|round| round[column]).collect()))
}

/// `12.3 k` and the like; a dash for a missing figure.
pub fn short(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "—".to_owned(),
        x if x >= 1e6 => format!("{:.2} M", value / 1e6),
        x if x >= 1e4 => format!("{:.0} k", value / 1e3),
        x if x >= 1e3 => format!("{:.1} k", value / 1e3),
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Whether a goal is met.
pub fn met(yes: bool) -> &'static str {
    if yes { "met" } else { "**not met**" }
}

/// A Markdown table.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(head.iter().map(ToString::to_string).collect());
    out.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        out.push_str(&line(row.clone()));
    }
    eprintln!("{out}");
    out
}
