"""The data doctor: what would spoil a training run, found before it begins."""

from vector_universe.data.doctor.check import check_data, folder_for, print_findings
from vector_universe.data.doctor.findings import Case, Finding
from vector_universe.data.doctor.report import Report

__all__ = ["Case", "Finding", "Report", "check_data", "folder_for", "print_findings"]
