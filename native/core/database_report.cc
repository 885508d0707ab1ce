#include "database_impl.h"
#include "model/maintenance.h"
#include "model/report.h"

namespace pongo {

void Session::Stats(std::vector<std::pair<std::string, double>>* stats) {
  if (!impl_->Check().ok()) return;
  DatabaseStats(impl_->mapping, stats);
}

std::string Session::Info() {
  if (!impl_->Check().ok()) return "";
  return DescribeDatabase(impl_->mapping, impl_->file->path());
}

Status Session::Report(DatabaseReport* report) {
  PONGO_TRY(impl_->Check());
  ReportDatabase(impl_->mapping, report);
  return Status::Ok();
}

Status Session::Proxies(std::map<uint64_t, std::vector<uint64_t>>* by_process) {
  PONGO_TRY(impl_->Check());
  ListProxies(impl_->mapping, by_process);
  return Status::Ok();
}

Status Session::Names(std::vector<std::string>* names) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  const uint64_t word = s.slot.Announce();
  Base base;
  Status status = ReadBase(s.mapping, word, &base);
  if (status.ok()) status = ListNames(s.mapping, base, names);
  s.slot.Clear();
  return status;
}

}  // namespace pongo
