//! Which ports a way to view needs, by client.

use serde::{Deserialize, Serialize};

use super::Direction;
use crate::classify::catalogue::{PortSpec, ProductId};

/// A way to view, with the ports that it needs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Method {
    pub id: String,
    pub name: String,
    pub from: String,
    pub to: String,
    pub direction: Direction,
    pub product: Whose,
    pub clients: String,
    #[serde(serialize_with = "in_words")]
    pub ports: Vec<PortSpec>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    pub sources: Vec<String>,
}

/// Which product has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Whose {
    Ows,
    Contera,
    Both,
}

impl Method {
    /// Whether a product has it; any, where none is given.
    pub fn concerns(&self, product: Option<ProductId>) -> bool {
        match (self.product, product) {
            (Whose::Both, _) | (_, None) => true,
            (Whose::Ows, Some(product)) => product == ProductId::Ows,
            (Whose::Contera, Some(product)) => product == ProductId::Contera,
        }
    }

    /// Its ports: `TCP 443, TCP 80`.
    pub fn ports_text(&self) -> String {
        self.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

fn in_words<S: serde::Serializer>(ports: &[PortSpec], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ports.iter().map(ToString::to_string))
}
