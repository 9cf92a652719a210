use crate::model::Timestamp;
use crate::model::audit::{AuditAction, AuditFilter};
use crate::store::{NewAudit, RecordAudit, StoreCommand};

#[tokio::test]
async fn audit_lines_are_found_by_what_they_name() {
    let (_folder, store) = super::store().await;
    let line = |number: usize| NewAudit {
        at: Timestamp(0),
        actor: ["anna", "bob"][number % 2].to_owned(),
        via: "session",
        address: None,
        action: [AuditAction::RunStart, AuditAction::Login, AuditAction::Logout][number % 3],
        run: number.is_multiple_of(5).then(|| "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()),
        outcome: "done".to_owned(),
        detail: Some(number.to_string()),
    };
    let record = |number| StoreCommand::Guarded(RecordAudit(line(number)).into(), None);
    store.commit(&(0..60).map(record).collect::<Vec<_>>()).await.unwrap();
    let all: Vec<usize> = (0..60).rev().collect();
    for mask in 0..16 {
        let filter = AuditFilter {
            run: (mask & 1 > 0).then(|| line(0).run.unwrap()),
            actor: (mask & 2 > 0).then(|| "anna".to_owned()),
            action: (mask & 4 > 0).then_some(AuditAction::RunStart),
            before: (mask & 8 > 0).then_some(40),
            limit: None,
        };
        let wanted = |number: &usize| {
            let of = line(*number);
            (filter.run.is_none() || filter.run == of.run)
                && filter.actor.as_ref().is_none_or(|actor| *actor == of.actor)
                && filter.action.is_none_or(|action| action == of.action)
                && filter.before.is_none_or(|before| (*number as i64) < before - 1)
        };
        let expected: Vec<String> =
            all.iter().copied().filter(|number| wanted(number)).take(7).map(|n| n.to_string()).collect();
        let found = store.audit(&filter, 7).await.unwrap();
        let found: Vec<String> = found.into_iter().filter_map(|entry| entry.detail).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let after = store.audit_after(58, 10).await.unwrap();
    assert_eq!(after.into_iter().map(|entry| entry.id).collect::<Vec<_>>(), [59, 60]);
}
