"""Off-policy evaluation: what another policy would have earned, from a log with one call a query.

Not here: how a log is made, read and reported; each function takes plain arrays.
"""

from bandits.metrics.off_policy.diagnostics import Diagnostics as Diagnostics
from bandits.metrics.off_policy.diagnostics import diagnose as diagnose
from bandits.metrics.off_policy.estimators import dm as dm
from bandits.metrics.off_policy.estimators import dr as dr
from bandits.metrics.off_policy.estimators import dros as dros
from bandits.metrics.off_policy.estimators import ips as ips
from bandits.metrics.off_policy.estimators import mips as mips
from bandits.metrics.off_policy.estimators import replay as replay
from bandits.metrics.off_policy.estimators import sndr as sndr
from bandits.metrics.off_policy.estimators import snips as snips
from bandits.metrics.off_policy.estimators import subgaussian as subgaussian
from bandits.metrics.off_policy.estimators import switch as switch
from bandits.metrics.off_policy.estimators import switch_dr as switch_dr
from bandits.metrics.off_policy.likelihood import cressie_read as cressie_read
from bandits.metrics.off_policy.likelihood import dr_likelihood as dr_likelihood
from bandits.metrics.off_policy.likelihood import mle as mle
