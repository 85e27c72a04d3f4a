//! Which objects a process serves, told by their labels.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use kube::core::{Expression, Selector, SelectorExt};
use sha2::{Digest, Sha256};

use crate::decide::request::hexadecimal;

/// The longest label value, and the longest name in a label key.
const LONGEST: usize = 63;
/// The longest prefix of a label key.
const LONGEST_PREFIX: usize = 253;
/// How many bytes of its hash tell a shard's lease from others: eight digits of a name.
const SUFFIX: usize = 4;

/// The objects that one process serves of all: those whose labels a selector matches.
///
/// It is read as `kubectl -l` reads one, but for `>` and `<`. Two spellings of one selector are
/// the same shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    expressions: Vec<Expression>,
    text: String,
}

/// A label selector that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It would match everything.
    #[error("nothing is selected; leave the flag out to serve all objects")]
    Empty,
    /// A part of it.
    #[error("`{part}`: {what}")]
    Part {
        /// The part.
        part: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl Shard {
    /// Whether an object with these labels belongs to it.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.expressions.iter().all(|part| part.matches(labels))
    }

    /// The parts of the selector that these labels do not match.
    #[must_use]
    pub fn unmet(&self, labels: &BTreeMap<String, String>) -> Selector {
        let unmet = self.expressions.iter().filter(|part| !part.matches(labels));
        unmet.cloned().collect()
    }

    /// The selector, in the one spelling that all others come to.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its lease, beside the leases of other shards.
    #[must_use]
    pub fn lease(&self, name: &str) -> String {
        let hash = Sha256::digest(self.text.as_bytes());
        format!("{name}-{}", hexadecimal(&hash[..SUFFIX]))
    }
}

impl FromStr for Shard {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Err(SelectorError::Empty);
        }
        let mut expressions = parts(text)
            .into_iter()
            .map(|part| {
                expression(part).map_err(|what| SelectorError::Part {
                    part: part.to_owned(),
                    what,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        expressions.sort();
        expressions.dedup();
        let text = expressions.iter().cloned().collect::<Selector>();
        Ok(Self {
            text: text.to_string(),
            expressions,
        })
    }
}

/// The parts between the commas that are in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut within = false;
    text.split(|letter| {
        match letter {
            '(' => within = true,
            ')' => within = false,
            _ => {}
        }
        letter == ',' && !within
    })
    .map(str::trim)
    .collect()
}

/// One part, in the one form of those that say the same.
fn expression(part: &str) -> Result<Expression, &'static str> {
    if part.contains(['<', '>']) {
        return Err("a comparison of numbers tells no shard");
    }
    if let Some((head, values)) = part.split_once('(') {
        let values = values.strip_suffix(')').ok_or("the `)` is missing")?;
        if values.trim().is_empty() {
            return Err("there is no value between the parentheses");
        }
        let values = set(values)?;
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "in"] => Ok(within(key(name)?, values)),
            [name, "notin"] => Ok(without(key(name)?, values)),
            _ => Err("write `KEY in (VALUES)` or `KEY notin (VALUES)`"),
        };
    }
    if let Some((name, text)) = part.split_once("!=") {
        return Ok(without(key(name)?, set(text)?));
    }
    if let Some((name, text)) = part.split_once('=') {
        let text = text.strip_prefix('=').unwrap_or(text);
        return Ok(within(key(name)?, set(text)?));
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Expression::DoesNotExist(key(name)?)),
        None => Ok(Expression::Exists(key(part)?)),
    }
}

fn within(key: String, mut values: BTreeSet<String>) -> Expression {
    match (values.pop_first(), values.is_empty()) {
        (Some(only), true) => Expression::Equal(key, only),
        (first, _) => {
            values.extend(first);
            Expression::In(key, values)
        }
    }
}

fn without(key: String, mut values: BTreeSet<String>) -> Expression {
    match (values.pop_first(), values.is_empty()) {
        (Some(only), true) => Expression::NotEqual(key, only),
        (first, _) => {
            values.extend(first);
            Expression::NotIn(key, values)
        }
    }
}

fn key(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_domain = prefix.len() <= LONGEST_PREFIX
        && prefix.split('.').all(|part| {
            is_label(part, |letter| letter == '-') && !part.contains(char::is_uppercase)
        });
    let is_prefix = is_domain || !text.contains('/');
    if is_prefix && is_label(name, |letter| "-_.".contains(letter)) {
        Ok(text.to_owned())
    } else {
        Err("this is no label key")
    }
}

fn set(text: &str) -> Result<BTreeSet<String>, &'static str> {
    let value = |text: &str| {
        let text = text.trim();
        if text.is_empty() || is_label(text, |letter| "-_.".contains(letter)) {
            Ok(text.to_owned())
        } else {
            Err("this is no label value")
        }
    };
    text.split(',').map(value).collect()
}

/// Whether a text is letters and digits, with others in between.
fn is_label(text: &str, others: impl Fn(char) -> bool) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    text.len() <= LONGEST
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|letter| plain(letter) || others(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn spellings_of_one_selector_are_one_shard_with_one_lease() {
        for spellings in [
            &["a=b", "a==b", " a = b ", "a in (b)", "a in(b)", "a=b,a=b"][..],
            &["a!=b", "a notin (b)", "a != b"],
            &["a in (x,y),!b", "!b, a in ( y , x )", "!b,a in (y,x,y)"],
            &["a", "a , a"],
            &["a=", "a in (,)"],
        ] {
            let first = shard(spellings[0]);
            for text in spellings {
                assert_eq!(shard(text), first, "{text}");
                assert_eq!(shard(text).lease("lease"), first.lease("lease"));
            }
        }
        assert_eq!(shard("!b, a in (y,x)").text(), "a in (x,y),!b");
        assert_eq!(shard("a=b").lease("lease"), "lease-42144f39");
    }

    #[test]
    fn other_selectors_have_other_leases() {
        let texts = ["a=b", "a!=b", "a", "!a", "a in (b,c)", "a=b,c=d", "a="];
        let leases: BTreeSet<String> = texts.map(|text| shard(text).lease("l")).into();
        assert_eq!(leases.len(), texts.len());
    }

    #[test]
    fn labels_are_matched_as_the_api_server_matches_them() {
        let both = labels(&[("example.com/shard", "a"), ("team", "x")]);
        for (text, matched) in [
            ("example.com/shard=a", true),
            ("example.com/shard=a,team in (x,y)", true),
            ("example.com/shard!=a", false),
            ("other!=a", true),
            ("other notin (a,b)", true),
            ("!other", true),
            ("!team", false),
            ("team", true),
            ("team=", false),
        ] {
            assert_eq!(shard(text).matches(&both), matched, "{text}");
        }
        let unmet = shard("example.com/shard=b,team=x,!team").unmet(&both);
        assert_eq!(unmet.to_string(), "example.com/shard=b,!team");
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused_with_its_part() {
        assert_eq!(" ".parse::<Shard>(), Err(SelectorError::Empty));
        for (text, said) in [
            ("a=b,", "``: this is no label key"),
            ("a=b=c", "`a=b=c`: this is no label value"),
            ("a,-b=c", "`-b=c`: this is no label key"),
            ("a/b/c", "`a/b/c`: this is no label key"),
            ("/b", "`/b`: this is no label key"),
            ("Example.com/b", "`Example.com/b`: this is no label key"),
            ("!a=b", "`!a=b`: this is no label key"),
            ("a in b", "`a in b`: this is no label key"),
            ("a in (b", "`a in (b`: the `)` is missing"),
            (
                "a in ()",
                "`a in ()`: there is no value between the parentheses",
            ),
            (
                "a of (b)",
                "`a of (b)`: write `KEY in (VALUES)` or `KEY notin (VALUES)`",
            ),
            ("a>1", "`a>1`: a comparison of numbers tells no shard"),
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
