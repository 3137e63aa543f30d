"""The public names of reports and where each lives; `__init__.py` imports them when they are used."""

from .chart import Chart as Chart
from .chart import Series as Series
from .chart import Table as Table
from .compare import Comparison as Comparison
from .make import report_of as report_of
from .make import write_report as write_report
from .report import Fact as Fact
from .report import Report as Report
from .report import Section as Section
