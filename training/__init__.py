"""What training is made of beside its loop: progress, what it asks of a task, the states that it keeps."""
