//! Who asks, and what they may do.
//!
//! Somebody is known by a token ([`Tokens`]), by what a trusted reverse proxy says ([`Proxies`]), or by a capability link. The first
//! two have roles, and the configuration says for each role which tenants, media, files and actions it is for.

mod denied;
mod jwks;
mod proxies;
mod tokens;

pub use denied::TokenDenied;
pub use proxies::Proxies;
pub use tokens::Tokens;

use std::collections::BTreeMap;

use super::index::Row;
use crate::config;
use crate::links::{Capability, Subject, role_name};
use crate::privacy::ContactHash;
use crate::vocabulary::Role;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See what is known of media, and their files but the originals.
    View,
    /// Have files as they came.
    Original,
    /// Have everything that is held of a person.
    Export,
    /// Delete for certain.
    Erase,
    /// Keep from being deleted.
    Hold,
    /// Read the audit log.
    Audit,
    /// Make a link open nothing any more.
    Revoke,
    /// See what waits for an operator, and replay it.
    Operate,
}

impl Action {
    /// As the configuration and the audit log have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Original => "original",
            Self::Export => "export",
            Self::Erase => "erase",
            Self::Hold => "hold",
            Self::Audit => "audit",
            Self::Revoke => "revoke",
            Self::Operate => "operate",
        }
    }
}

/// Whether somebody may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Yes,
    /// No, and they are not told that it is there.
    NotTheirs,
    /// No: it is theirs, and their role is not for this.
    Forbidden,
}

/// Whoever asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Who it is: the token's subject, the proxy's name, or the id of a capability. It may be somebody's name and is not logged.
    pub who: String,
    grants: Vec<config::Access>,
    /// Where a token is for some tenants only.
    tenants: Option<Vec<String>>,
    scope: Scope,
}

/// What a caller is confined to, whatever the grants say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    All,
    Media { tenant: String, media_id: String },
    Contact { tenant: Option<String>, contact: String },
}

impl Caller {
    /// Somebody with roles: those that the configuration does not know give nothing. `tenants` and `contact` are what the token
    /// itself is confined to.
    #[must_use]
    pub fn with_roles<'a>(
        who: String,
        roles: impl IntoIterator<Item = &'a str>,
        tenants: Option<Vec<String>>,
        contact: Option<String>,
        access: &BTreeMap<String, config::Access>,
    ) -> Self {
        let grants = roles.into_iter().filter_map(|role| access.get(role).cloned()).collect();
        let scope = contact.map_or(Scope::All, |contact| Scope::Contact { tenant: None, contact });
        Self { who, grants, tenants, scope }
    }

    /// Whoever has a capability link that is genuine.
    #[must_use]
    pub fn with_link(capability: &Capability, subject: &Subject<'_>) -> Self {
        let (tenant, scope) = match *subject {
            Subject::Media { tenant, media_id } => {
                (tenant, Scope::Media { tenant: tenant.to_owned(), media_id: media_id.to_owned() })
            }
            Subject::Contact { tenant, contact } => {
                (tenant, Scope::Contact { tenant: Some(tenant.to_owned()), contact: contact.to_owned() })
            }
        };
        let grant = config::Access {
            tenants: vec![tenant.to_owned()],
            kinds: Vec::new(),
            tags: Vec::new(),
            assets: Vec::new(),
            actions: vec![Action::View.as_str().to_owned(), Action::Original.as_str().to_owned()],
        };
        Self { who: capability.id.clone(), grants: vec![grant], tenants: None, scope }
    }

    /// The contact that the caller is confined to.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        match &self.scope {
            Scope::Contact { contact, .. } => Some(contact),
            Scope::All | Scope::Media { .. } => None,
        }
    }

    /// Whether they may do this with a tenant as a whole, as far as no media is asked for.
    #[must_use]
    pub fn may(&self, action: Action, tenant: &str) -> Decision {
        if matches!(self.scope, Scope::Media { .. }) {
            return Decision::NotTheirs;
        }
        self.decide(tenant, |grant| allows(grant, action))
    }

    /// Whether they may do this with a media, and this file of it.
    #[must_use]
    pub fn may_with(&self, action: Action, row: &Row, asset: Option<Role>) -> Decision {
        let is_theirs = match &self.scope {
            Scope::All => true,
            Scope::Media { tenant, media_id } => row.tenant == *tenant && row.media_id == *media_id,
            Scope::Contact { tenant, contact } => {
                tenant.as_ref().is_none_or(|tenant| row.tenant == *tenant) && row.contacts.contains(contact)
            }
        };
        if !is_theirs {
            return Decision::NotTheirs;
        }
        self.decide(&row.tenant, |grant| allows(grant, action) && is_for(grant, row) && is_for_asset(grant, asset))
    }

    /// Whether they may do this with all of a tenant, or with everything of a person or conversation who is known by these hashes:
    /// a role for some kinds or tags only may not.
    #[must_use]
    pub fn may_with_all(&self, action: Action, tenant: &str, known_as: &[ContactHash]) -> Decision {
        let is_theirs = match &self.scope {
            Scope::All => true,
            Scope::Media { .. } => false,
            Scope::Contact { tenant: own, contact } => {
                own.as_ref().is_none_or(|own| own == tenant) && known_as.iter().any(|hash| hash.as_str() == contact)
            }
        };
        if !is_theirs {
            return Decision::NotTheirs;
        }
        let is_for_all = |grant: &config::Access| grant.kinds.is_empty() && grant.tags.is_empty();
        self.decide(tenant, |grant| allows(grant, action) && is_for_all(grant))
    }

    /// Kinds and labels that all rows have that the caller may see, where there are such: for a search, which then asks of each
    /// row that it finds.
    #[must_use]
    pub fn confines(&self, tenant: &str) -> (Vec<String>, Vec<String>) {
        let grants = || self.grants.iter().filter(|grant| is_for_tenant(grant, tenant) && allows(grant, Action::View));
        let union = |list: fn(&config::Access) -> &Vec<String>| {
            let is_open = grants().any(|grant| list(grant).is_empty());
            if is_open { Vec::new() } else { grants().flat_map(|grant| list(grant).clone()).collect() }
        };
        (union(|grant| &grant.kinds), union(|grant| &grant.tags))
    }

    /// Whether they may see what waits for an operator, which is of all tenants.
    #[must_use]
    pub fn may_operate(&self) -> Decision {
        let is_for_all = |tenants: &[String]| tenants.iter().any(|tenant| tenant == "*");
        let in_token = self.tenants.as_deref().is_none_or(is_for_all);
        let may = |grant: &config::Access| is_for_all(&grant.tenants) && allows(grant, Action::Operate);
        let yes = in_token && self.scope == Scope::All && self.grants.iter().any(may);
        if yes { Decision::Yes } else { Decision::Forbidden }
    }

    fn decide(&self, tenant: &str, allows: impl Fn(&config::Access) -> bool) -> Decision {
        let in_token = self.tenants.as_ref().is_none_or(|tenants| tenants.iter().any(|known| known == tenant));
        let grants: Vec<_> = self.grants.iter().filter(|grant| in_token && is_for_tenant(grant, tenant)).collect();
        if grants.is_empty() {
            Decision::NotTheirs
        } else if grants.into_iter().any(allows) {
            Decision::Yes
        } else {
            Decision::Forbidden
        }
    }
}

fn is_for_tenant(grant: &config::Access, tenant: &str) -> bool {
    grant.tenants.iter().any(|known| known == "*" || known == tenant)
}

fn allows(grant: &config::Access, action: Action) -> bool {
    grant.actions.iter().any(|known| known == action.as_str())
}

fn is_for(grant: &config::Access, row: &Row) -> bool {
    let kind_ok = grant.kinds.is_empty() || row.kind.as_ref().is_some_and(|kind| grant.kinds.contains(kind));
    kind_ok && (grant.tags.is_empty() || grant.tags.iter().any(|tag| row.tags.contains(tag)))
}

fn is_for_asset(grant: &config::Access, asset: Option<Role>) -> bool {
    let Some(asset) = asset else { return true };
    let is_original = asset == Role::Original;
    let asset_ok = grant.assets.is_empty() || grant.assets.iter().any(|known| known == role_name(asset));
    asset_ok && (!is_original || allows(grant, Action::Original))
}

#[cfg(test)]
mod tests;
