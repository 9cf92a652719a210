use super::*;
use crate::model::{Param, PhaseSpec};

const QUEUED_AT: i64 = 100;

fn label(text: &str) -> Need {
    Need::Label(text.to_owned())
}

fn folder(text: &str) -> Need {
    Need::Folder(text.to_owned())
}

fn run(needs: &[Need]) -> PendingRun {
    let id = "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap();
    PendingRun { id, queued_at: Timestamp(QUEUED_AT), needs: needs.iter().cloned().collect() }
}

fn worker(offers: &[Need], unavailable_since: Option<i64>) -> PlacementWorker {
    PlacementWorker {
        offers: offers.iter().cloned().collect(),
        slots: 1,
        unavailable_since: unavailable_since.map(Timestamp),
    }
}

/// All subsets.
fn subsets(all: &[Need]) -> Vec<Vec<Need>> {
    let pick = |bits: u32| all.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0);
    (0..1u32 << all.len()).map(|bits| pick(bits).map(|(_, need)| need.clone()).collect()).collect()
}

#[test]
fn label_has_1_to_63_allowed_characters() {
    let longest = "a".repeat(63);
    for good in ["gpu", "x86_64", "linux-6.1", "0", longest.as_str()] {
        assert_eq!(good.parse::<Label>().unwrap().as_str(), good);
    }
    let too_long = "a".repeat(64);
    for bad in ["", "GPU", "a b", "a,b", "ä", "a=b", "a/b", too_long.as_str()] {
        assert!(bad.parse::<Label>().is_err(), "{bad}");
    }
}

#[test]
fn needs_are_the_union_of_pipeline_and_phases() {
    let label = |text: &str| text.parse::<Label>().unwrap();
    let phase = |runs_on: &[&str]| PhaseSpec {
        runs_on: runs_on.iter().map(|text| label(text)).collect(),
        ..PhaseSpec::default()
    };
    let param = |name: &str, kind| Param {
        name: name.into(),
        title: String::new(),
        help: String::new(),
        kind,
        required: false,
        default: None,
        choices: Vec::new(),
    };
    let pipeline = Pipeline {
        runs_on: vec![label("linux")],
        params: vec![
            param("project", ParamKind::Path),
            param("cache", ParamKind::Path),
            param("word", ParamKind::String),
        ],
        phases: vec![phase(&["gpu", "linux"]), phase(&[]), phase(&["big"])],
        ..Pipeline::default()
    };
    let text = |text: &str| ParamValue::Text(text.into());
    let mut params = Params::from([("project".into(), text("/srv/a")), ("word".into(), text("/srv/b"))]);
    let mut expected: BTreeSet<Need> = ["big", "gpu", "linux"].map(self::label).into();
    expected.insert(folder("/srv/a"));
    assert_eq!(pipeline.needs(&params), expected);
    assert!(pipeline.has_project(&params));
    params.insert("cache".into(), text("/srv/c"));
    expected.insert(folder("/srv/c"));
    assert_eq!(pipeline.needs(&params), expected);
    params.insert("project".into(), text(""));
    expected.remove(&folder("/srv/a"));
    assert_eq!(pipeline.needs(&params), expected, "an empty path is no folder");
    assert!(!pipeline.has_project(&params));
}

#[test]
fn need_columns_roundtrip() {
    for need in [label("gpu"), folder("/srv"), Need::Files("id".into())] {
        let (kind, value) = need.columns();
        assert_eq!(Need::from_columns(kind, value.to_owned()), Some(need));
    }
    assert_eq!(Need::from_columns("moon", "full".into()), None);
}

/// Every run over three needs, with every pair of workers: there is a shortage if no live worker has all of the needs,
/// and it names what is missing.
#[test]
fn shortage_is_what_no_live_worker_has() {
    let all = [label("gpu"), label("linux"), folder("/srv/a")];
    let states = [None, Some(QUEUED_AT - 50), Some(QUEUED_AT + 50)];
    let workers: Vec<PlacementWorker> =
        subsets(&all).iter().flat_map(|offers| states.map(|since| worker(offers, since))).collect();
    let mut cases = 0;
    for needs in subsets(&all) {
        let run = run(&needs);
        for first in &workers {
            for second in &workers {
                let pair = [first.clone(), second.clone()];
                let has_all = |worker: &PlacementWorker| run.needs.is_subset(&worker.offers);
                let is_live = |worker: &PlacementWorker| worker.unavailable_since.is_none();
                let can_run = pair.iter().any(|worker| is_live(worker) && has_all(worker));
                let found = shortage(&run, &pair, true);
                assert_eq!(found.is_none(), can_run, "{run:?} {pair:?}");
                let Some(found) = found else { continue };
                let capable = pair.iter().filter(|worker| has_all(worker));
                let last = capable.filter_map(|worker| worker.unavailable_since).max();
                assert_eq!(found.since, last.unwrap_or_default().max(Timestamp(QUEUED_AT)), "{run:?} {pair:?}");
                let named: BTreeSet<Need> = found
                    .labels
                    .iter()
                    .map(|text| label(text))
                    .chain(found.folders.iter().map(|text| folder(text)))
                    .collect();
                assert!(named.is_subset(&run.needs));
                let is_had = |need: &Need| pair.iter().any(|worker| is_live(worker) && worker.offers.contains(need));
                let missing: BTreeSet<Need> = run.needs.iter().filter(|need| !is_had(need)).cloned().collect();
                let expected = if missing.is_empty() { &run.needs } else { &missing };
                assert_eq!(&named, expected, "{run:?} {pair:?}");
                assert!(named.iter().all(|need| found.message.contains(need.columns().1)), "{}", found.message);
                cases += 1;
            }
        }
    }
    assert!(cases > 1000);
}

#[test]
fn shortage_ignores_workers_without_slots() {
    let pages = PlacementWorker { slots: 0, ..worker(&[label("gpu")], None) };
    let found = shortage(&run(&[]), std::slice::from_ref(&pages), true).unwrap();
    assert_eq!((found.message.as_str(), found.since), ("no worker", Timestamp(QUEUED_AT)));
    assert_eq!(shortage(&run(&[label("gpu")]), &[pages], true).unwrap().message, "no worker with label gpu");
    assert_eq!(shortage(&run(&[]), &[], true).unwrap().message, "no worker");
}

/// The only worker of a database takes runs whatever became of their folders, but not without their labels.
#[test]
fn shortage_of_the_only_worker_is_about_labels() {
    let needs = [label("gpu"), folder("/srv/a"), Need::Files("x".into())];
    let found = shortage(&run(&needs), &[worker(&[], None)], false).unwrap();
    assert_eq!((found.message.as_str(), found.folders.as_slice()), ("no worker with label gpu", &[] as &[String]));
    assert_eq!(shortage(&run(&needs), &[worker(&[label("gpu")], None)], false), None);
}

#[test]
fn shortage_message_lists_what_is_missing() {
    let message = |needs: &[Need]| shortage(&run(needs), &[worker(&[], None)], true).unwrap().message;
    assert_eq!(message(&[label("gpu")]), "no worker with label gpu");
    assert_eq!(message(&[label("gpu"), label("linux")]), "no worker with labels gpu and linux");
    assert_eq!(message(&[label("a"), label("b"), label("c")]), "no worker with labels a, b and c");
    assert_eq!(message(&[folder("/srv/a"), label("gpu")]), "no worker with label gpu and folder /srv/a");
    assert_eq!(message(&[Need::Files("x".into())]), "no worker with the files of the run");
}
