//! What an authority signs is what the transport believes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{Authority, AuthorityError, CertificateFiles, Validity};
use starling::transport::{Identity, Role, TrustRoots};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn validity() -> Validity {
    Validity::days(NOW, 7)
}

fn authority() -> Authority {
    Authority::create(validity()).expect("an authority")
}

#[test]
fn certificates_name_their_bearers() {
    let authority = authority();
    TrustRoots::from_pem(authority.certificate().as_bytes()).expect("an authority");
    let node = authority.issue_node(validity()).expect("a certificate");
    let client = authority
        .issue_client("shop", validity())
        .expect("a certificate");
    let admin = authority
        .issue_admin("ada", validity())
        .expect("a certificate");
    assert!(node.principal.node().is_some());
    assert_eq!(client.principal.role, Role::Client("shop".to_owned()));
    assert_eq!(admin.principal.role, Role::Admin("ada".to_owned()));
    for issued in [node, client, admin] {
        assert_eq!(issued.principal.cluster, authority.cluster());
        let read = Identity::from_pem(issued.certificate.as_bytes(), issued.private_key.as_bytes())
            .expect("an identity");
        assert_eq!(*read.principal(), issued.principal);
    }
}

#[test]
fn a_saved_authority_signs_for_the_same_cluster() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = authority();
    let files = authority.save(directory.path()).expect("written");
    let loaded = Authority::load(directory.path()).expect("read back");
    assert_eq!(loaded.cluster(), authority.cluster());
    assert_eq!(loaded.certificate(), authority.certificate());
    loaded.issue_node(validity()).expect("a certificate");

    let mode = |path| {
        std::fs::metadata(path)
            .expect("a file")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(files.private_key), 0o600);
    assert_eq!(mode(files.certificate), 0o644);
}

#[test]
fn no_file_is_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let issued = authority()
        .issue_client("shop", validity())
        .expect("a certificate");
    let files = issued.save(directory.path(), "shop").expect("written");
    assert_eq!(files, CertificateFiles::named(directory.path(), "shop"));
    assert_eq!(files.principal().expect("an identity"), issued.principal);
    let again = issued.save(directory.path(), "shop");
    assert!(
        matches!(again, Err(AuthorityError::Exists { .. })),
        "{again:?}"
    );
}

#[test]
fn a_name_that_would_not_read_back_is_refused() {
    for name in ["", "a b", "a/b", "größe", &"a".repeat(65)] {
        let refused = authority().issue_client(name, validity());
        assert!(
            matches!(refused, Err(AuthorityError::BadName { .. })),
            "{name}"
        );
    }
}

#[test]
fn another_authoritys_key_is_refused() {
    let (one, other) = (authority(), authority());
    assert_ne!(one.cluster(), other.cluster());
    let mixed = Authority::from_pem(one.certificate(), &other.private_key());
    assert!(
        matches!(mixed, Err(AuthorityError::Unusable { .. })),
        "{mixed:?}"
    );
}
