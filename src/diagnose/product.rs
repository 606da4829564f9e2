//! Which product a site has: by the user's word, or by hosts that only one of the products knows.

use super::scene::Scene;
use crate::classify::catalogue::{HostEntry, ProductId, Requirement};
use crate::event::Class;

/// The product that a site is taken for where nothing tells: the one that is sold.
pub const ASSUMED: ProductId = ProductId::Ows;

/// The product, if the user or the capture tells it, and the capture does not tell both.
pub fn told(scene: &Scene<'_>) -> Option<ProductId> {
    if let Some(product) = scene.base.site.product {
        return Some(product);
    }
    let carried = scene.cases.flows.iter().filter_map(|case| case.host.as_deref());
    let asked = scene.cases.dns.iter().map(|dns| &*dns.name);
    let mut names: Vec<&str> = carried.chain(asked).collect();
    names.sort_unstable();
    names.dedup();
    let listed = |name: &str, product| {
        let mut rows = scene.base.catalogue.hosts.iter().filter(|row| is_listed(row, product));
        rows.any(|row| row.covers(name).is_some())
    };
    let (mut ows, mut contera) = (false, false);
    for name in names {
        match (listed(name, ProductId::Ows), listed(name, ProductId::Contera)) {
            (true, false) => ows = true,
            (false, true) => contera = true,
            _ => {}
        }
    }
    match (ows, contera) {
        (true, false) => Some(ProductId::Ows),
        (false, true) => Some(ProductId::Contera),
        _ => None,
    }
}

/// Whether a product's document lists a host, as one that it needs whatever else there is.
fn is_listed(row: &HostEntry, product: ProductId) -> bool {
    // what a site updates from and takes its time from tells nothing
    let own = !matches!(row.class, Class::Ntp | Class::Update);
    row.listed && own && row.requirement(product) != Requirement::NotListed
}
