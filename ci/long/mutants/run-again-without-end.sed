# rule: a task has so many retries and no more
# file: src/process_pool/task.rs
# tests: crash retries_after_deaths
s/self.retries -= 1;//
