//! Who is not let in: without a certificate, with one of another authority, of another cluster, or
//! of the wrong sort.

use std::fs;

use anyhow::{Context, ensure};
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use crate::raw::Raw;
use crate::{Witness, cluster};
use ring::{ClusterId, NodeId};
use starling::transport::{Alpn, Principal, Role, SERVER_NAME};
use starling::{Client, ErrorKind, Tls};
use starling_node::authority::{CA_KEY, CertificateFiles};
use starling_tests::cluster::{Certificates, Cluster};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_a_certificate_of_the_cluster_are_refused() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let ours = cluster.certificates().authority_file();
    let elsewhere = cluster.directory().join("elsewhere");
    let others = Certificates::make(&elsewhere)?;
    let files = |tls: Tls, files: &CertificateFiles| {
        tls.identity_files(&files.certificate, &files.private_key)
    };
    let cluster_id = cluster.certificates().authority().cluster();
    let eve = || Role::Client("eve".to_owned());
    let stranger = forged(&cluster, cluster.certificates(), ClusterId(7), eve())?;
    // It names our cluster, and somebody else has signed that.
    let liar = forged(&cluster, &others, cluster_id, eve())?;
    let cases = [
        ("no certificate", Tls::ca_file(&ours), "certificate"),
        (
            "of another authority",
            files(Tls::ca_file(&ours), &liar),
            "authority",
        ),
        (
            "trusts another authority",
            files(
                Tls::ca_file(others.authority_file()),
                cluster.certificates().user(),
            ),
            "authority",
        ),
        (
            "of another cluster",
            files(Tls::ca_file(&ours), &stranger),
            "cluster",
        ),
    ];
    for (case, tls, expected) in cases {
        let seeds = cluster.nodes().iter().map(|node| node.quic().to_string());
        let error = Client::builder().seeds(seeds).tls(tls).connect().await;
        let error = error.err().with_context(|| format!("let in: {case}"))?;
        ensure!(error.kind() == ErrorKind::Denied, "{case}: {error}");
        ensure!(error.to_string().contains(expected), "{case}: {error}");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_nodes_of_the_cluster_speak_the_nodes_protocol() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let client = cluster.certificates().client("app")?;
    let node = || Role::Node(NodeId(1));
    let stranger = forged(&cluster, cluster.certificates(), ClusterId(7), node())?;
    let others = Certificates::make(&cluster.directory().join("elsewhere"))?;
    let cluster_id = cluster.certificates().authority().cluster();
    let liar = forged(&cluster, &others, cluster_id, node())?;
    let cases = [
        ("no certificate", None, "certificate"),
        ("a client", Some(&client), "not a node"),
        (
            "an admin",
            Some(cluster.certificates().user()),
            "not a node",
        ),
        ("another cluster's node", Some(&stranger), "cluster"),
        ("another authority's node", Some(&liar), "authority"),
    ];
    for (case, files, expected) in cases {
        let error = Raw::connect(&cluster, files, Alpn::Peer).await.err();
        let error = error.with_context(|| format!("let in: {case}"))?;
        ensure!(error.to_string().contains(expected), "{case}: {error}");
        ensure!(!error.request_may_have_arrived(), "{case}: {error}");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

/// A certificate with a name that its authority should never sign.
fn forged(
    cluster: &Cluster,
    signer: &Certificates,
    named: ClusterId,
    role: Role,
) -> anyhow::Result<CertificateFiles> {
    let authority = signer.authority_file();
    let key = fs::read_to_string(authority.with_file_name(CA_KEY))?;
    let issuer =
        Issuer::from_ca_cert_pem(&fs::read_to_string(&authority)?, KeyPair::from_pem(&key)?)?;
    let principal = Principal {
        cluster: named,
        role,
    };
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    let uri = principal.to_string().as_str().try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let files = CertificateFiles::named(
        cluster.directory(),
        &format!("forged-{}", fastrand::u64(..)),
    );
    fs::write(&files.certificate, certificate.pem())?;
    fs::write(&files.private_key, key.serialize_pem())?;
    Ok(files)
}
