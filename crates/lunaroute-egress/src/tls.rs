//! Whom TLS trusts and what it shows.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::{Config, ConfigError};

pub(crate) fn client_config(config: &Config) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(config.extra_ca_file.as_deref())?);
    let Some(identity) = &config.client_identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(&identity.certificate_file, "client certificate")?;
    let key = PrivateKeyDer::from_pem_file(&identity.key_file).map_err(|source| ConfigError::Pem {
        what: "private key of the client certificate",
        path: identity.key_file.clone(),
        source,
    })?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

/// The system's authorities, or Mozilla's where the system has none (a container without certificates), and the extra
/// ones.
fn roots(extra_ca_file: Option<&Path>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a certificate store of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        tracing::info!("the system has no certificate authorities; the built-in list is used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = extra_ca_file {
        for certificate in certificates(path, "extra certificate authorities")? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| ConfigError::Pem { what, path: path.to_owned(), source })?;
    if found.is_empty() {
        return Err(ConfigError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}
