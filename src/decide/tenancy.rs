//! Who may use a connection of the cluster, and which operator serves what.

use std::collections::BTreeMap;

use super::Need;
use crate::api::{LabelOperator, LabelRequirement, LabelValue, NamespaceSelector, Reason};

/// The labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// What is known of the connection that an object names, or was begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// It is there, with this class.
    There(Option<&'a str>),
    /// It cannot be seen here; the operator of this class has served the object with it.
    Recorded(Option<&'a str>),
    /// It is not in this operator's stores, and no operator has served the object yet.
    Unseen,
    /// It is not there, and no operator has served the object yet.
    Absent,
}

/// Which operator serves an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This one.
    Ours,
    /// Another one: it is left alone.
    Others,
    /// The stores do not tell: a look at the API server does.
    Unknown,
}

/// Which operator serves an object, told by the class of its connection.
///
/// An object whose connection is not there is told so by one operator only, by that without a
/// class: of all others it could be.
#[must_use]
pub fn whose(own: Option<&str>, named: Named) -> Whose {
    match named {
        Named::There(class) | Named::Recorded(class) => {
            if class == own {
                Whose::Ours
            } else {
                Whose::Others
            }
        }
        Named::Absent => match own {
            Some(_) => Whose::Others,
            None => Whose::Ours,
        },
        Named::Unseen => Whose::Unknown,
    }
}

/// Whether objects of a namespace may use a `ClusterPlatformConnection`. Without labels, since none
/// were seen yet, nothing counts as selected that depends on them.
///
/// The message is for the namespace's people: of the connection it tells the name that they wrote,
/// and nothing else.
#[must_use]
pub fn admission(
    selector: Option<&NamespaceSelector>,
    labels: Option<&Labels>,
    (connection, namespace): (&str, &str),
) -> Need<()> {
    let refused = || {
        Need::wrong(
            Reason::NamespaceNotAllowed,
            format!(
                "ClusterPlatformConnection {connection} may not be used in namespace {namespace}: \
                 its namespaceSelector does not select it. Ask who keeps the connection to have it \
                 selected, or use a PlatformConnection of this namespace; what runs already goes on"
            ),
        )
    };
    match (selector, labels) {
        (None, _) => refused(),
        (Some(selector), _) if *selector == NamespaceSelector::default() => Need::Met(()),
        (Some(_), None) => Need::waiting(
            Reason::ConnectionNotReady,
            format!(
                "the labels of namespace {namespace} were not seen yet, by which \
                 ClusterPlatformConnection {connection} selects who may use it"
            ),
        ),
        (Some(selector), Some(labels)) if selects(selector, labels) => Need::Met(()),
        (Some(_), Some(_)) => refused(),
    }
}

/// Whether a selector selects a namespace with these labels, as the API server's own do.
#[must_use]
pub fn selects(selector: &NamespaceSelector, labels: &Labels) -> bool {
    let NamespaceSelector {
        match_labels,
        match_expressions,
    } = selector;
    let equal = |(key, LabelValue(value)): (&String, &LabelValue)| labels.get(key) == Some(value);
    let mut equals = match_labels.iter().flatten();
    let mut requirements = match_expressions.iter().flatten();
    equals.all(equal) && requirements.all(|requirement| meets(requirement, labels))
}

fn meets(requirement: &LabelRequirement, labels: &Labels) -> bool {
    let LabelRequirement {
        key,
        operator,
        values,
    } = requirement;
    let value = labels.get(key);
    let is_among = |values: &[LabelValue]| {
        let value = value.map(String::as_str);
        value.is_some_and(|value| values.iter().any(|LabelValue(known)| known == value))
    };
    match (operator, values) {
        (LabelOperator::In, Some(values)) => is_among(values),
        (LabelOperator::NotIn, Some(values)) => !is_among(values),
        // Stored without the rule that wants values: it admits nobody.
        (LabelOperator::In | LabelOperator::NotIn, None) => false,
        (LabelOperator::Exists, _) => value.is_some(),
        (LabelOperator::DoesNotExist, _) => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selector(selector: Value) -> NamespaceSelector {
        serde_json::from_value(selector).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
        let mut expression = json!({ "key": key, "operator": operator });
        if !values.is_empty() {
            expression["values"] = json!(values);
        }
        json!({ "matchExpressions": [expression] })
    }

    const WHO: (&str, &str) = ("shared", "shop");

    #[test]
    fn without_a_selector_nobody_may_use_it_and_an_empty_one_lets_all_in() {
        let none = labels(&[]);
        for known in [None, Some(&none)] {
            assert!(matches!(admission(None, known, WHO), Need::Wrong(_)));
            let all = selector(json!({}));
            assert_eq!(admission(Some(&all), known, WHO), Need::Met(()));
        }
    }

    #[test]
    fn who_is_not_selected_is_told_the_name_that_it_wrote_and_no_other() {
        let others = selector(json!({ "matchLabels": { "team": "secret-team" } }));
        let Need::Wrong(cause) = admission(Some(&others), Some(&labels(&[])), WHO) else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::NamespaceNotAllowed);
        assert!(cause.message.contains("ClusterPlatformConnection shared"));
        assert!(cause.message.contains("namespace shop"));
        assert!(!cause.message.contains("secret-team"), "{}", cause.message);
    }

    #[test]
    fn labels_that_were_not_seen_yet_select_nothing_whatever_the_selector_asks() {
        for asks in [
            json!({ "matchLabels": { "team": "a" } }),
            expression("team", "DoesNotExist", &[]),
            expression("team", "NotIn", &["a"]),
        ] {
            let selector = selector(asks);
            let said = admission(Some(&selector), None, WHO);
            assert!(matches!(said, Need::Waiting(_)), "{said:?}");
        }
    }

    #[test]
    fn namespaces_are_selected_as_the_api_server_selects() {
        let shop = labels(&[("team", "a"), ("tier", "")]);
        for (asks, selected) in [
            (json!({}), true),
            (json!({ "matchLabels": { "team": "a" } }), true),
            (json!({ "matchLabels": { "tier": "" } }), true),
            (
                json!({ "matchLabels": { "team": "a", "tier": "x" } }),
                false,
            ),
            (json!({ "matchLabels": { "region": "eu" } }), false),
            (expression("team", "In", &["a", "b"]), true),
            (expression("team", "In", &["b"]), false),
            (expression("region", "In", &["eu"]), false),
            (expression("team", "NotIn", &["b"]), true),
            (expression("team", "NotIn", &["a", "b"]), false),
            (expression("region", "NotIn", &["eu"]), true),
            (expression("team", "Exists", &[]), true),
            (expression("region", "Exists", &[]), false),
            (expression("team", "DoesNotExist", &[]), false),
            (expression("region", "DoesNotExist", &[]), true),
            // Neither can be written; stored all the same, they admit nobody.
            (expression("team", "In", &[]), false),
            (expression("team", "NotIn", &[]), false),
        ] {
            assert_eq!(selects(&selector(asks.clone()), &shop), selected, "{asks}");
        }
        let both = json!({
            "matchLabels": { "team": "a" },
            "matchExpressions": [
                { "key": "tier", "operator": "Exists" },
                { "key": "region", "operator": "Exists" },
            ],
        });
        assert!(!selects(&selector(both), &shop), "all of it is to be met");
    }

    #[test]
    fn an_object_is_one_operators_at_most() {
        let all = [None, Some("blue"), Some("green")];
        let named = all
            .into_iter()
            .flat_map(|class| [Named::There(class), Named::Recorded(class)]);
        for named in named.chain([Named::Absent]) {
            let acting = all
                .into_iter()
                .filter(|own| whose(*own, named) != Whose::Others);
            assert_eq!(acting.count(), 1, "{named:?}");
        }
        for own in all {
            assert_eq!(whose(own, Named::Unseen), Whose::Unknown, "{own:?}");
        }
        assert_eq!(whose(None, Named::Absent), Whose::Ours);
        assert_eq!(whose(Some("blue"), Named::There(Some("blue"))), Whose::Ours);
        assert_eq!(whose(Some("blue"), Named::There(None)), Whose::Others);
    }
}
