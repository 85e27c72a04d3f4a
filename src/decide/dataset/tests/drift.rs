//! What differs, and what becomes of it.

use super::*;
use crate::{api::SchemaRef, platform::PatchOperation};

fn wanted() -> Own {
    let values = TagValues(vec!["a".into(), "b".into()]);
    Own {
        template: DatasetTemplate {
            name: "Weekly".into(),
            description: Some("For reports".into()),
            tags: Some(BTreeMap::from([("team/eu".to_owned(), values)])),
            ..own().template
        },
        ..own()
    }
}

fn as_wanted() -> Dataset {
    let mut found = Dataset {
        name: Some("Weekly".into()),
        description: Some("For reports".into()),
        ..owned_by("a", OURS)
    };
    let values = vec!["b".to_owned(), "a".to_owned()];
    found.tags.insert("team/eu".into(), values);
    found.tags.insert("somebody's".into(), vec!["own".into()]);
    found
}

fn changed() -> Dataset {
    let mut found = Dataset {
        name: Some("renamed".into()),
        description: None,
        ..as_wanted()
    };
    found.tags.insert("team/eu".into(), vec!["a".into()]);
    found.tags.remove(OBJECT_TAG);
    found
        .tags
        .insert(OWNER_UID_TAG.into(), vec!["before".into()]);
    found
}

fn mends(plan: Plan) -> Vec<Difference> {
    match plan {
        Plan::Mend(_, differences) => differences,
        other => panic!("{other:#?}"),
    }
}

#[test]
fn a_dataset_as_wanted_is_left_alone_and_so_are_tags_that_nobody_here_wrote() {
    let plan = decide(&wanting(wanted(), known(), seen(as_wanted())));
    assert_eq!(
        plan,
        Plan::Rest(Situation::Available(as_wanted(), Vec::new()))
    );
}

#[test]
fn what_the_spec_does_not_name_is_not_looked_at() {
    let found = Dataset {
        name: Some("x".into()),
        ..as_wanted()
    };
    let plan = decide(&wanting(own(), known(), seen(found.clone())));
    assert_eq!(plan, Plan::Rest(Situation::Available(found, Vec::new())));
}

#[test]
fn name_description_and_tags_are_mended_by_operations_that_touch_nothing_else() {
    let differences = mends(decide(&wanting(wanted(), known(), seen(changed()))));
    let operations: Vec<_> = differences.iter().map(Difference::operation).collect();
    let add = |path: &str, value| PatchOperation::Add(path.to_owned(), value);
    assert_eq!(
        operations,
        [
            add("/name", json!("Weekly")),
            add("/description", json!("For reports")),
            add("/tags/team~1eu", json!(["a", "b"])),
            add("/tags/aep-export.dev~1object", json!(["team/weekly"])),
            add("/tags/aep-export.dev~1uid", json!(["uid"])),
        ]
    );
}

#[test]
fn a_spec_that_observes_has_its_own_differences_reported_and_nothing_written() {
    let observes = Own {
        management: ManagementPolicy::Observe,
        ..wanted()
    };
    let plan = decide(&wanting(observes, known(), seen(changed())));
    let Plan::Rest(Situation::Available(_, differences)) = plan else {
        panic!("{plan:#?}")
    };
    let fields: Vec<_> = differences.iter().map(|d| d.field.name()).collect();
    assert_eq!(fields, ["name", "description", "tags.team/eu"]);
}

#[test]
fn what_was_asked_for_and_had_no_effect_is_asked_for_again_only_after_a_pause() {
    let facts = |effort, pause| Facts {
        effort,
        pause,
        ..wanting(wanted(), known(), seen(changed()))
    };
    let reason = |effort, pause| rests(&decide(&facts(effort, pause)));
    assert_eq!(reason(Effort::Answered, None), Reason::Mending);
    let unavailable = Effort::Failed(failure(Consequence::Retry));
    assert_eq!(reason(unavailable, None), Reason::PlatformUnavailable);
    let forbidden = Effort::Failed(failure(Consequence::Forbidden));
    assert_eq!(reason(forbidden, None), Reason::AccessDenied);
    let before = reason(Effort::None, Some(paused(5)));
    assert_eq!(before, Reason::PlatformUnavailable);
    mends(decide(&facts(Effort::None, Some(paused(1)))));
}

#[test]
fn a_schema_of_another_version_is_told_and_never_mended() {
    let of = |content_type: &str| {
        let schema = SchemaRef {
            id: UNION_SCHEMA.into(),
            content_type: Some(content_type.into()),
        };
        let mut own = wanted();
        own.template.schema_ref = Some(schema);
        let found = Dataset {
            schema_content_type: Some("application/vnd.adobe.xed+json;version=1".into()),
            ..changed()
        };
        decide(&wanting(own, known(), seen(found)))
    };
    let other = of("application/vnd.adobe.xed+json;version=2");
    assert!(matches!(other, Plan::Rest(Situation::Unsuitable(_, _))));
    assert_eq!(rests(&other), Reason::SchemaDiffers);
    mends(of("application/vnd.Adobe.xed+json; version=1"));
}
