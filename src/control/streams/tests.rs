use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, runtime::reflector::store};
use serde_json::json;

use super::*;

/// What a listener was told, in order.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn tell(&self, what: &str, name: &str) {
        self.0.lock().unwrap().push(format!("{what} {name}"));
    }
}

/// Those whose data says so are at rest.
impl Listener<ConfigMap> for Told {
    fn present(&self, object: &ConfigMap, _: Option<&ConfigMap>) {
        self.tell("present", &object.name_any());
    }

    fn is_at_rest(&self, object: &ConfigMap) -> bool {
        object
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key("rests"))
    }

    fn is_own(&self, object: &ConfigMap) -> bool {
        object.resource_version().as_deref() == Some("own")
    }

    fn listing(&self) {
        self.tell("listing", "");
    }

    fn listed(&self, object: &ConfigMap) {
        self.tell("listed", &object.name_any());
    }

    fn rests(&self, object: &ConfigMap) {
        self.tell("rests", &object.name_any());
    }

    fn relisted(&self) {
        self.tell("relisted", "");
    }

    fn mended(&self, object: ObjectRef<ConfigMap>) {
        self.tell("mended", &object.name);
    }

    fn gone(&self, object: &ConfigMap) {
        self.tell("gone", &object.name_any());
    }

    fn lost(&self, object: &ObjectRef<ConfigMap>) {
        self.tell("lost", &object.name);
    }

    fn invalid(&self, object: ObjectRef<ConfigMap>, _: &InvalidObject) {
        self.tell("invalid", &object.name);
    }
}

fn intake() -> (Intake<ConfigMap, Told>, Arc<Told>) {
    let (known, writer) = store();
    let told = Arc::new(Told::default());
    let intake = Intake {
        known,
        writer,
        listener: Arc::clone(&told),
        unreadable: Unreadable::default(),
        mended: VecDeque::new(),
    };
    (intake, told)
}

/// An object with what only its API server reads.
fn object(name: &str, data: &serde_json::Value) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "generation": 1,
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept",
            },
            "managedFields": [{ "manager": "kubectl" }],
        },
        "data": data,
    }))
    .unwrap()
}

fn goes_on(name: &str) -> Guarded<ConfigMap> {
    Guarded(Ok(object(name, &json!({ "status": "whole" }))))
}

fn at_rest(name: &str) -> Guarded<ConfigMap> {
    Guarded(Ok(object(name, &json!({ "rests": "" }))))
}

fn unreadable(name: &str) -> Guarded<ConfigMap> {
    Guarded(Err(InvalidObject {
        error: "unreadable".into(),
        metadata: object(name, &json!({})).metadata,
    }))
}

fn names(store: &Store<ConfigMap>) -> Vec<String> {
    let mut names: Vec<String> = store.state().iter().map(|o| o.name_any()).collect();
    names.sort();
    names
}

#[test]
fn what_is_in_the_store_is_whole_but_for_what_only_the_api_server_reads() {
    let (mut intake, _) = intake();
    intake.take(watcher::Event::Apply(goes_on("a")));
    let kept = intake.known.state().remove(0);
    let mut whole = object("a", &json!({ "status": "whole" }));
    prune(&mut whole);
    assert_eq!(*kept, whole);
    assert_eq!(kept.annotations().len(), 1);
    assert!(kept.managed_fields().is_empty());
}

#[test]
fn a_list_leaves_out_of_the_store_what_is_at_rest_and_tells_of_it() {
    let (mut intake, told) = intake();
    intake.take(watcher::Event::Init);
    assert!(
        intake
            .take(watcher::Event::InitApply(goes_on("a")))
            .is_some()
    );
    assert!(
        intake
            .take(watcher::Event::InitApply(at_rest("b")))
            .is_none()
    );
    intake.take(watcher::Event::InitDone);
    assert_eq!(names(&intake.known), ["a"]);
    let told = told.0.lock().unwrap();
    assert_eq!(*told, ["listing ", "listed b", "rests b", "relisted "]);
}

#[test]
fn an_object_leaves_the_store_when_it_comes_to_rest_and_is_there_all_the_same() {
    let (mut intake, told) = intake();
    intake.take(watcher::Event::Apply(goes_on("a")));
    assert!(intake.take(watcher::Event::Apply(at_rest("a"))).is_none());
    assert!(intake.known.is_empty());
    // Edited, it is whole again, and news to its controller.
    assert!(intake.take(watcher::Event::Apply(goes_on("a"))).is_some());
    assert_eq!(names(&intake.known), ["a"]);
    let told = told.0.lock().unwrap();
    assert_eq!(*told, ["present a", "present a", "rests a", "present a"]);
}

#[test]
fn what_is_recalled_is_in_the_store_until_it_rests_again() {
    let (mut intake, _) = intake();
    intake.take(watcher::Event::Apply(at_rest("a")));
    let recalled = object("a", &json!({ "rests": "", "status": "whole" }));
    let triggered = intake.take_back(recalled);
    assert_eq!(triggered.name_any(), "a");
    let kept = intake.known.state().remove(0);
    assert!(kept.data.as_ref().unwrap().contains_key("status"));
    // What a watch brought meanwhile is not older.
    intake.take(watcher::Event::Apply(goes_on("a")));
    intake.take_back(object("a", &json!({ "rests": "" })));
    let kept = intake.known.state().remove(0);
    assert!(!kept.data.as_ref().unwrap().contains_key("rests"));
    intake.take(watcher::Event::Apply(at_rest("a")));
    assert!(intake.known.is_empty());
}

#[test]
fn only_what_people_change_is_news() {
    let (mut intake, _) = intake();
    let change = |change: fn(&mut ConfigMap)| {
        let mut object = object("a", &json!({ "status": "another" }));
        change(&mut object);
        watcher::Event::Apply(Guarded(Ok(object)))
    };
    assert!(intake.take(watcher::Event::Apply(goes_on("a"))).is_some());
    assert!(intake.take(change(|_| {})).is_none(), "its status");
    let own = |o: &mut ConfigMap| {
        o.finalizers_mut().push("f".into());
        o.metadata.resource_version = Some("own".into());
    };
    assert!(intake.take(change(own)).is_none(), "what a pass wrote");
    for edit in [
        |o: &mut ConfigMap| o.metadata.generation = Some(2),
        |o: &mut ConfigMap| o.finalizers_mut().push("f".into()),
        |o: &mut ConfigMap| drop(o.labels_mut().insert("l".into(), String::new())),
        |o: &mut ConfigMap| drop(o.annotations_mut().insert("a".into(), String::new())),
        |o: &mut ConfigMap| o.metadata.uid = Some("another".into()),
    ] {
        assert!(intake.take(change(edit)).is_some());
    }
}

#[test]
fn an_object_that_cannot_be_read_leaves_and_is_told_of_when_it_is_mended() {
    let (mut intake, told) = intake();
    intake.take(watcher::Event::Apply(goes_on("a")));
    intake.take(watcher::Event::Apply(unreadable("a")));
    assert!(intake.known.is_empty());
    intake.take(watcher::Event::Apply(unreadable("b")));
    intake.take(watcher::Event::Apply(goes_on("a")));
    let told = told.0.lock().unwrap();
    let expected = [
        "present a",
        "invalid a",
        "gone a",
        "invalid b",
        "lost b",
        "present a",
        "mended a",
    ];
    assert_eq!(*told, expected);
}

#[test]
fn a_watch_that_fails_again_and_again_is_begun_every_ten_to_twenty_seconds_in_the_end() {
    let waits: Vec<_> = waits().take(50).collect();
    assert_eq!(waits.len(), 50, "none is the last");
    assert!(waits[0] < SOON * 2, "{waits:?}");
    assert!(
        waits[8..]
            .iter()
            .all(|wait| (LATE..=LATE * 2).contains(wait)),
        "{waits:?}"
    );
}

#[test]
fn a_page_is_a_hundredth_of_all_objects_from_a_hundred_to_a_thousand() {
    let pages = [0, 101, 10_000, 30_000, 100_000, i64::MAX].map(|all| page(PAGE, all));
    assert_eq!(pages, [100, 100, 100, 300, 1000, 1000]);
    assert_eq!(page(PAGE, -1), 100, "no count at all");
}
