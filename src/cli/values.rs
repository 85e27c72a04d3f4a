//! What flags take as their values, as far as it is not a type of its own.

use url::Host;

/// The longest name that Kubernetes takes: that of a DNS subdomain (RFC 1123).
const LONGEST_NAME: usize = 253;
/// The longest part of one, between dots.
const LONGEST_LABEL: usize = 63;

/// Reads the identity of a cluster.
pub fn identity(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=LONGEST_LABEL).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("write up to 63 letters, digits and hyphens, as a UID has them")
    }
}

/// Reads the name of a namespace, or the class of an operator, as a connection has it.
pub fn label(text: &str) -> Result<String, &'static str> {
    if is_label(text) {
        Ok(text.to_owned())
    } else {
        Err("write up to 63 lower-case letters, digits and hyphens, with no hyphen at an end")
    }
}

/// Reads the name of an object.
pub fn name(text: &str) -> Result<String, &'static str> {
    if text.len() <= LONGEST_NAME && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("write lower-case letters, digits, hyphens and dots, as Kubernetes' names have them")
    }
}

/// Reads a host, and gives it as a URL would have it.
pub fn host(text: &str) -> Result<String, &'static str> {
    match Host::parse(text) {
        Ok(host) if !text.contains('*') => Ok(host.to_string()),
        Ok(_) => Err("name each host: there are no wildcards"),
        Err(_) => Err("write a host alone, as platform.adobe.io, with no scheme, port or path"),
    }
}

fn is_label(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LONGEST_LABEL).contains(&text.len())
        && text.chars().all(fits)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_taken_as_it_is_and_one_that_fits_no_tag_is_refused() {
        let uid = "44af9c8a-cb35-4a3f-95df-e76fcdc188ed";
        assert_eq!(identity(uid).as_deref(), Ok(uid));
        for id in ["", "a/b", "a b", &"a".repeat(64)] {
            assert!(identity(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_namespace_or_class_that_no_object_can_have_is_refused() {
        for text in ["a", "team-a", "7", &"a".repeat(63)] {
            assert_eq!(label(text).as_deref(), Ok(text));
        }
        for text in ["", "Blue", "a.b", "a_b", "-a", "a-", &"a".repeat(64)] {
            assert!(label(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_no_object_can_have_is_refused() {
        for text in ["mine", "aep-export-operator.blue"] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        for text in ["", "a..b", ".a", "a/b", &"a.".repeat(127)] {
            assert!(name(text).is_err(), "{text}");
        }
        let longest = ["a".repeat(63).as_str(); 4].join(".");
        assert!(name(&longest).is_err() && name(&longest[2..]).is_ok());
    }

    #[test]
    fn a_host_is_taken_as_a_url_has_it() {
        for (text, host_of_url) in [
            ("platform.adobe.io", "platform.adobe.io"),
            ("Platform.Adobe.IO", "platform.adobe.io"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(host_of_url));
        }
    }

    #[test]
    fn what_no_url_can_have_as_its_host_is_refused() {
        for text in [
            "",
            " ",
            "https://platform.adobe.io",
            "platform.adobe.io:443",
            "platform.adobe.io/data",
            "*.adobe.io",
            "*",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
