//! `starling init`: makes a cluster of nodes that are running.
//!
//! The plan (who, where, how many partitions, a fresh secret) goes to every node over the nodes'
//! own protocol, with this machine's node certificate. One that takes it is enough: nodes tell each
//! other. Sent twice, it changes nothing.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::cert::principal_of;
use super::exit::{Exit, UsageError};
use super::output::Output;
use super::text::no_randomness;
use crate::config::Config;
use crate::protocol::cluster::{InitMember, InitPlan, Secret};
use crate::runtime::send_init;
use ring::{Address, MemberName, NodeId, QBits, ReplicaCount, Zone};

/// How to make a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct InitOptions {
    /// A node's configuration: its certificate proves that we may do this.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// A first member: name=..,addr=HOST:PORT,zone=.. and id=HEX or cert=FILE; weight=100 is
    /// optional. Repeat it for each.
    #[arg(long = "member", required = true, value_name = "MEMBER")]
    members: Vec<MemberOption>,
    /// The ring is cut into two to this power partitions: 8 for up to 16 nodes.
    #[arg(long, default_value_t = 8, value_name = "BITS")]
    partition_bits: u8,
    /// Owners of each key where a bucket does not say otherwise.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    n: u8,
}

/// A first member as the command line names it.
#[derive(Debug, Clone)]
pub(crate) struct MemberOption(InitMember);

/// Sends the plan and says who took it.
pub(crate) async fn run(options: InitOptions, output: Output) -> anyhow::Result<Exit> {
    let config = Config::load(&options.config)?;
    let q_bits = QBits::new(options.partition_bits)?;
    let n = ReplicaCount::new(options.n)?;
    let members = options.members.into_iter().map(|member| member.0).collect();
    let report = initialise(&config, members, q_bits, n).await?;
    output.line(report)?;
    Ok(Exit::Done)
}

/// Makes the cluster of the configuration's certificate, of these members.
pub(crate) async fn initialise(
    config: &Config,
    members: Vec<InitMember>,
    q_bits: QBits,
    n: ReplicaCount,
) -> anyhow::Result<String> {
    let cluster = principal_of(&config.tls.cert)?.cluster;
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(no_randomness)?;
    let plan = InitPlan {
        cluster,
        secret: Secret::new(secret),
        members,
        q_bits,
        n,
    };
    let report = send_init(config, plan).await?;
    Ok(format!("cluster {cluster}: {report}"))
}

impl FromStr for MemberOption {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: String| UsageError(format!("--member {text}: {what}"));
        let (mut name, mut node, mut addresses) = (None, None, Vec::new());
        let (mut zone, mut weight) = (None, 100);
        for part in text.split(',') {
            let (field, value) = part
                .split_once('=')
                .ok_or_else(|| wrong(format!("{part} is no field=value")))?;
            match field {
                "name" => name = Some(MemberName::new(value)?),
                "id" => node = Some(value.parse::<NodeId>()?),
                "cert" => node = principal_of(value.as_ref())?.node(),
                "addr" => addresses.push(Address::new(value)?),
                "zone" => zone = Some(Zone::new(value)?),
                "weight" => weight = value.parse()?,
                _ => return Err(wrong(format!("there is no field {field}")).into()),
            }
        }
        let name = name.ok_or_else(|| wrong("name= is missing".to_owned()))?;
        let node = node.ok_or_else(|| wrong("id= or a node's cert= is missing".to_owned()))?;
        if addresses.is_empty() {
            return Err(wrong("addr= is missing".to_owned()).into());
        }
        let zone = zone.map_or_else(|| Zone::new(name.as_str()), Ok)?;
        Ok(Self(InitMember {
            node,
            name,
            addresses,
            zone,
            weight,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::MemberOption;

    #[test]
    fn a_member_is_named_in_one_argument() {
        let text = "name=n1,id=00000000000000ff,addr=127.0.0.1:7401,zone=a,weight=50";
        let member = text.parse::<MemberOption>().unwrap().0;
        assert_eq!(member.node.0, 255);
        assert_eq!(member.addresses[0].as_str(), "127.0.0.1:7401");
        assert_eq!((member.zone.as_str(), member.weight), ("a", 50));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, missing) in [
            ("name=n1,id=00000000000000ff", "addr="),
            ("name=n1,addr=h:1", "id="),
            ("id=00000000000000ff,addr=h:1", "name="),
            ("name=n1,port=7", "port"),
            ("n1", "field=value"),
        ] {
            let error = text.parse::<MemberOption>().unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
    }
}
