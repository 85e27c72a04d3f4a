//! What people ask for by annotations.

use kube::ResourceExt;

use crate::api::{ABANDON_ANNOTATION, REQUEST_ANNOTATIONS, cut};

/// The longest request that is echoed, in bytes: whoever wrote more has it cut.
const REQUEST_LIMIT: usize = 128;

/// What asks for a pass now, if it has not been answered yet: the value to echo. Of two
/// annotations the later one counts, as RFC 3339 sorts.
pub(super) fn requested(object: &impl ResourceExt, handled: Option<&str>) -> Option<String> {
    latest(object).filter(|request| Some(request.as_str()) != handled)
}

/// The request that is echoed once it was answered.
pub(super) fn latest(object: &impl ResourceExt) -> Option<String> {
    REQUEST_ANNOTATIONS
        .iter()
        .filter_map(|name| object.annotations().get(*name))
        .filter(|value| !value.is_empty())
        .max()
        .map(|value| cut(value, REQUEST_LIMIT).to_owned())
}

/// Whether a person said that this very object is to be let go.
pub(super) fn is_abandoned(object: &impl ResourceExt) -> bool {
    let word = object.annotations().get(ABANDON_ANNOTATION);
    word.is_some_and(|word| object.uid().as_deref() == Some(word.trim()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;

    use super::*;

    fn with(annotations: &[(&str, &str)]) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.uid = Some("u".into());
        for (key, value) in annotations {
            let (key, value) = ((*key).to_owned(), (*value).to_owned());
            object.annotations_mut().insert(key, value);
        }
        object
    }

    #[test]
    fn a_request_counts_once_and_the_later_of_two_counts() {
        let [flux, own] = REQUEST_ANNOTATIONS;
        let object = with(&[
            (flux, "2026-11-01T00:00:00Z"),
            (own, "2026-11-02T00:00:00Z"),
        ]);
        let later = Some("2026-11-02T00:00:00Z".to_owned());
        assert_eq!(requested(&object, None), later);
        assert_eq!(requested(&object, later.as_deref()), None);
        assert_eq!(requested(&with(&[(own, "")]), None), None);
    }

    #[test]
    fn a_long_request_is_cut_and_answered_once() {
        let object = with(&[(REQUEST_ANNOTATIONS[0], &"x".repeat(500))]);
        let handled = latest(&object);
        assert_eq!(handled.as_ref().map(String::len), Some(REQUEST_LIMIT));
        assert_eq!(requested(&object, handled.as_deref()), None);
    }

    #[test]
    fn only_the_objects_own_uid_abandons_it() {
        assert!(is_abandoned(&with(&[(ABANDON_ANNOTATION, "u")])));
        assert!(!is_abandoned(&with(&[(ABANDON_ANNOTATION, "v")])));
        assert!(!is_abandoned(&with(&[])));
    }
}
