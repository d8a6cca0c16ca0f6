//! The queues of all configured roles, as far as this program has them.

use super::CliError;
use crate::broker::{QueueSpec, Topology};
use crate::config::Config;
use crate::roles::lanes;

/// All of them, on one exchange.
pub(super) fn topology(config: &Config) -> Result<Topology, CliError> {
    let queues = lanes::queues(&config.broker);
    #[cfg(feature = "gateway")]
    let queues: Vec<_> = queues.into_iter().chain(crate::roles::gateway::queues(config)).collect();
    #[cfg(feature = "catalog")]
    let queues: Vec<_> = queues
        .into_iter()
        .chain(crate::roles::catalog::queues(config))
        .chain(crate::roles::privacy::queues(config))
        .collect();
    #[cfg(feature = "deliver")]
    let queues: Vec<QueueSpec> = queues.into_iter().chain(super::deliver::queues(config)?).collect();
    Ok(Topology::new(&config.broker, queues)?)
}
