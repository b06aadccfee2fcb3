//! TLS: whom the gate trusts, what it shows, and what it says when it does not.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use lunaroute_core::FailureKind;
use lunaroute_egress::{Client, ClientIdentity, Config, ConfigError, ProxyRules};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::upstream::{Peer, Upstream};
use crate::{PATIENT, base, post, read};

/// A certificate authority of the test, with its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key in PEM.
struct Issued {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer, folder: TempDir::new().expect("a folder") }
    }

    fn issue(&self, name: &str, expired: bool) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    fn config(&self) -> Config {
        Config { extra_ca_file: Some(self.file("ca.pem", &self.issuer.pem())), ..Config::default() }
    }
}

fn acceptor(issued: &Issued, clients: Option<&Authority>, protocols: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(authority.issuer.pem().as_bytes()).expect("PEM"))
                .expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
    let mut config = builder.with_single_cert(chain, key).expect("a server");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    if let Ok(stream) = acceptor.accept(stream).await {
        let mut peer = Peer::new(stream);
        while peer.request().await.is_some() {
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    }
}

async fn secure(acceptor: TlsAcceptor) -> Upstream {
    Upstream::start(move |peer| answer(acceptor.clone(), peer.stream)).await
}

async fn attempt(config: &Config, address: &str) -> Result<Vec<u8>, String> {
    let client = Client::new(config).expect("a client");
    match client.attempt(post(&base(address)), &PATIENT).await {
        Ok(inbound) => Ok(read(inbound).await.0),
        Err(failure) => {
            assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
            Err(failure.message)
        }
    }
}

#[tokio::test]
async fn an_extra_authority_is_trusted_and_a_strange_one_is_explained() {
    let authority = Authority::new();
    let upstream = secure(acceptor(&authority.issue("localhost", false), None, &[])).await;
    let by_name = format!("https://localhost:{}", upstream.address().port());
    assert_eq!(attempt(&authority.config(), &by_name).await, Ok(b"ok".to_vec()));
    for config in [Config::default(), Authority::new().config()] {
        let message = attempt(&config, &by_name).await.expect_err("not trusted");
        assert!(message.contains("an authority that is not trusted here"), "{message}");
        assert!(message.contains("localhost:"), "{message}");
    }
    let by_address = format!("https://{}", upstream.address());
    let message = attempt(&authority.config(), &by_address).await.expect_err("another name");
    assert!(message.contains("is for another name"), "{message}");
}

#[tokio::test]
async fn an_expired_certificate_and_a_plain_port_are_explained() {
    let authority = Authority::new();
    let upstream = secure(acceptor(&authority.issue("localhost", true), None, &[])).await;
    let message = attempt(&authority.config(), &format!("https://localhost:{}", upstream.address().port()))
        .await
        .expect_err("expired");
    assert!(message.contains("check this machine's clock"), "{message}");
    let plain = Upstream::start(|mut peer| async move {
        peer.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    let message =
        attempt(&Config::default(), &format!("https://{}", plain.address())).await.expect_err("plain");
    assert!(message.contains("should begin with 'http://'"), "{message}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_it_is_asked_for() {
    let authority = Authority::new();
    let upstream = secure(acceptor(&authority.issue("localhost", false), Some(&authority), &[])).await;
    let address = format!("https://localhost:{}", upstream.address().port());
    let own = authority.issue("gateway", false);
    let identity = ClientIdentity {
        certificate_file: authority.file("own.pem", &own.certificate),
        key_file: authority.file("own.key", &own.key),
    };
    let config = Config { client_identity: Some(identity), ..authority.config() };
    assert_eq!(attempt(&config, &address).await, Ok(b"ok".to_vec()));
    let client = Client::new(&authority.config()).expect("a client");
    // With TLS 1.3 the refusal comes after the client's side of the handshake is done.
    let failure = client.attempt(post(&base(&address)), &PATIENT).await.expect_err("no certificate");
    assert!(failure.message.contains("client certificate"), "{failure}");
}

#[tokio::test]
async fn a_tunnel_carries_tls_to_the_provider_itself() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.issue("provider.invalid", false), None, &[]);
    let proxy = Upstream::start(move |mut peer| {
        let acceptor = acceptor.clone();
        async move {
            let request = peer.request().await.expect("a request");
            assert!(request.starts_with("CONNECT provider.invalid:443 "), "{request}");
            peer.send("HTTP/1.1 200 Connection established\r\n\r\n").await;
            answer(acceptor, peer.stream).await;
        }
    })
    .await;
    let rules = ProxyRules::new("", &proxy.address().to_string(), "", "").expect("rules");
    let config = Config { proxy: Some(rules), ..authority.config() };
    assert_eq!(attempt(&config, "https://provider.invalid").await, Ok(b"ok".to_vec()));
}

#[tokio::test]
async fn http2_is_offered_only_when_it_is_wanted() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.issue("localhost", false), None, &[b"h2", b"http/1.1"]);
    let upstream = Upstream::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let stream = TokioIo::new(acceptor.accept(peer.stream).await.expect("a handshake"));
            let service =
                service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("ok"))) });
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
        }
    })
    .await;
    let base = base(&format!("https://localhost:{}", upstream.address().port()));
    for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let client = Client::new(&Config { http2, ..authority.config() }).expect("a client");
        let inbound = client.attempt(post(&base), &PATIENT).await.expect("an answer");
        assert_eq!(inbound.version, version);
        assert_eq!(read(inbound).await, (b"ok".to_vec(), None));
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let missing = authority.folder.path().join("missing.pem");
    let empty = authority.file("empty.pem", "no certificate here\n");
    let own = authority.issue("gateway", false);
    let certificate_file = authority.file("own.pem", &own.certificate);
    let identity =
        |key_file: PathBuf| Some(ClientIdentity { certificate_file: certificate_file.clone(), key_file });
    let other_key = authority.file("other.key", &authority.issue("other", false).key);
    for (config, sentence) in [
        (Config { extra_ca_file: Some(missing.clone()), ..Config::default() }, "missing.pem cannot be read"),
        (Config { extra_ca_file: Some(empty), ..Config::default() }, "empty.pem holds no certificate"),
        (
            Config { client_identity: identity(missing), ..Config::default() },
            "private key of the client certificate",
        ),
        (Config { client_identity: identity(other_key), ..Config::default() }, "TLS cannot be set up"),
    ] {
        let error: ConfigError = Client::new(&config).expect_err("refused");
        assert!(error.to_string().contains(sentence), "{error}");
    }
}
