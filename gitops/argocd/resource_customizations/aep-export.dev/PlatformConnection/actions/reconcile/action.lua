-- What the operator waits for is looked at now; status.lastHandledReconcileAt repeats this time
-- once that was done.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["aep-export.dev/requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
