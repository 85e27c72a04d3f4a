//! Certificate authorities that are trusted beside the machine's own.

use reqwest::{Certificate, Client};

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is no PEM.
    #[error("cannot be read as PEM")]
    Pem(#[source] reqwest::Error),
    /// No certificate is in it.
    #[error("holds no certificate")]
    Empty,
    /// What is in it is no certificate.
    #[error("holds what is no certificate")]
    Certificate(#[source] reqwest::Error),
}

/// Reads a bundle of certificates in PEM.
///
/// # Errors
///
/// What keeps it from being used.
pub fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    let found = Certificate::from_pem_bundle(pem).map_err(BundleError::Pem)?;
    if found.is_empty() {
        return Err(BundleError::Empty);
    }
    // What lies in the PEM is only read for a client.
    let client = Client::builder().tls_certs_only(found.iter().cloned());
    client.build().map_err(BundleError::Certificate)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_a_certificate_is_refused() {
        for (pem, said) in [
            ("", "holds no certificate"),
            ("team-a", "holds no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
                "cannot be read as PEM",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----",
                "holds what is no certificate",
            ),
        ] {
            let error = certificates(pem.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), said, "{pem}");
        }
    }
}
