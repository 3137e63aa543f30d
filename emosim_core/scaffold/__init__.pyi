"""The public names of `emosim_core.scaffold` and where each lives."""

from emosim_core.scaffold.table_domain import DomainPlan as DomainPlan
from emosim_core.scaffold.table_domain import plan_domain as plan_domain
from emosim_core.scaffold.write import write_plugin as write_plugin
