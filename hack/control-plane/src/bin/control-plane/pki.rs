//! Keys, certificates and the administrator's token of one control plane.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::failure::Failure;

/// Under which names the API server is reached: from this machine, and as pods know it.
const SERVER_NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "10.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// The files, all in one folder.
#[derive(Debug)]
pub(crate) struct Pki {
    pub(crate) ca_pem: String,
    pub(crate) ca_certificate: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) service_account_key: PathBuf,
    pub(crate) service_account_public_key: PathBuf,
    pub(crate) token: String,
    pub(crate) tokens: PathBuf,
}

impl Pki {
    /// Makes everything anew in `directory`.
    pub(crate) fn create(directory: &Path) -> Result<Self, Failure> {
        let io = |path: &Path| Failure::io(format!("write {}", path.display()));
        fs::create_dir(directory).map_err(io(directory))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(io(&path)).map(|()| path)
        };

        let mut ca = CertificateParams::new([])?;
        ca.distinguished_name
            .push(DnType::CommonName, "aep-control-plane");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let ca_pem = ca.pem();

        let mut server = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
        server
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        let server = server.signed_by(&server_key, &ca)?;

        let service_accounts = KeyPair::generate()?;
        let token = random_token()?;
        Ok(Self {
            ca_certificate: write("ca.crt", &ca_pem)?,
            server_certificate: write("server.crt", &server.pem())?,
            server_key: write("server.key", &server_key.serialize_pem())?,
            service_account_key: write("service-account.key", &service_accounts.serialize_pem())?,
            service_account_public_key: write(
                "service-account.pub",
                &service_accounts.public_key_pem(),
            )?,
            tokens: write(
                "tokens.csv",
                &format!("{token},admin,admin,\"system:masters\"\n"),
            )?,
            ca_pem,
            token,
        })
    }
}

/// 128 random bits in hexadecimal.
fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(Failure::io("read /dev/urandom"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
