//! A certificate authority of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The files of a fresh authority and of one server certificate signed by it.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate, for `SSL_CERT_FILE`.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// Key and certificate in one file.
    pub bundle: PathBuf,
}

impl Certificates {
    /// Makes an authority and a certificate for `domain`, in files under `dir`.
    pub fn make(dir: &Path, domain: &str) -> Self {
        let authority_key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, format!("test authority of {domain}"));
        limit(&mut params);
        let authority = params
            .self_signed(&authority_key)
            .expect("a self-signed certificate");
        let issuer = Issuer::new(params, authority_key);

        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(vec![domain.to_owned()]).expect("a DNS name");
        params.distinguished_name.push(DnType::CommonName, domain);
        params.use_authority_key_identifier_extension = true;
        limit(&mut params);
        let certificate = params
            .signed_by(&key, &issuer)
            .expect("a signed certificate");

        let files = Self {
            authority: dir.join("authority.pem"),
            certificate: dir.join("certificate.pem"),
            key: dir.join("key.pem"),
            bundle: dir.join("bundle.pem"),
        };
        let write = |path: &Path, text: String| {
            fs::write(path, text).expect("the scratch directory is ours")
        };
        write(&files.authority, authority.pem());
        write(&files.certificate, certificate.pem());
        write(&files.key, key.serialize_pem());
        write(&files.bundle, key.serialize_pem() + &certificate.pem());
        files
    }
}

/// Makes a certificate valid about now: ejabberd cannot set a timer for the far future that is the default.
fn limit(params: &mut CertificateParams) {
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    params.not_before = (SystemTime::now() - days(1)).into();
    params.not_after = (SystemTime::now() + days(30)).into();
}
