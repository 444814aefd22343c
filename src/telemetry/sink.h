#pragma once

#include "base/result.h"
#include "telemetry/records.h"

namespace keisei::telemetry {

/// Where the records of a run go: the run store, a page, a metrics page.
class RecordSink {
 public:
  virtual ~RecordSink() = default;

  /// Takes one record. Who owns the sink says on which thread, and whether it blocks.
  [[nodiscard]] virtual Result<void> add(const Record& record) = 0;
};

}  // namespace keisei::telemetry
