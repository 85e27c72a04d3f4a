-- For good: an export that was cancelled stays so.
obj.spec.cancel = true
return obj
